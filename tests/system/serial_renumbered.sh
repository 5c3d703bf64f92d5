#!/bin/sh
# Serial devices that come back under other names are found by a pattern and told apart by their uid.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
echo "$master" >"$dir/master.key"
record 240
conf_pump "$(bench_file)" | sed "s|port: \"unix:$run/pump-.\"|port: \"$run/tty-*\"|" >"$conf"
sim 1 --link "pty:$run/tty-b"
sim 2 --link "pty:$run/tty-a"
start
until_event 20 0 '.kind == "source_end"'
wait_for 20 "pump-1" online 1
wait_for 20 "pump-2" online 2
ctl retrain pump --wait >"$dir/out" 2>&1 || { cat "$dir/out"; fail "no version"; }
wait_for 20 "version 1 on both pumps" serves 1

# unplugged, and plugged in the other way round, with a third that is none of ours
end KILL "$sim_1"
end KILL "$sim_2"
wait_for 10 "pump-1 offline" eval '! online 1'
wait_for 10 "pump-2 offline" eval '! online 2'
rm -f "$run"/tty-*
printf '%064d' 9 >"$dir/other.key"
launch "$dir/other.log" "$build/hone-sim" --link "pty:$run/tty-c" --flash "$dir/other.flash" \
	--uid 00000000000000ff --key-file "$dir/other.key"
sim 1 --link "pty:$run/tty-d"
sim 2 --link "pty:$run/tty-e"
wait_for 40 "pump-1 under its new name" online 1
wait_for 40 "pump-2 under its new name" online 2
wait_for 10 "version 1 still in service" serves 1
expect_equal "swaps" "$(count 0 '.kind == "swap_started"')" 2
[ "$(wc -l <"$log")" -lt 300 ] || fail "too much log"
stop
