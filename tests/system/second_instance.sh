#!/bin/sh
# A second honed on the same database ends at once, names the first one's process, and disturbs nothing.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
conf_line "unix:$run/in" >"$conf"
start
rc=0
timeout 10 "$build/honed" --config "$conf" >"$dir/second" 2>&1 || rc=$?
expect_equal "exit code of the second one" $rc 75
expect_text "$dir/second" "in use by process $pid: stop it"
expect_equal "lines that it says" "$(wc -l <"$dir/second")" 1
expect_equal "lock" "$(cat "$db.lock")" "$pid"
ctl status >/dev/null || fail "the first one does not answer any more"
stop
# and the place is free again, also after a crash
start
crash
start
stop
