#!/bin/sh
# A window that is labelled twice trains once, with the newer label; training again with nothing new changes nothing.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
first_version
stop
start                                            # the recording is replayed: every label a second time
labels() { [ "$(sql 'SELECT count(*) FROM label')" -eq 480 ]; }
wait_for 10 "second label of each window" labels
ctl_json retrain pump --wait >"$dir/job" 2>"$dir/err" || { cat "$dir/err"; fail "no second version"; }
expect_equal "labels" "$(jq .report.labels "$dir/job")" 480
expect_equal "windows" "$(jq '.report.windows | .train + .valid + .holdout' "$dir/job")" 240
wait_for 20 "version 2 on both pumps" serves 2
mark=$(newest)
rc=0
ctl retrain pump --wait >"$dir/out" 2>&1 || rc=$?
expect_equal "exit code of a training that finds nothing new" $rc 5
expect_text "$dir/out" "weights of the champion"
expect_equal "rollouts of it" "$(count "$mark" '.kind == "rollout_started"')" 0
serves 2 || fail "version 2 is not in service any more"
stop
