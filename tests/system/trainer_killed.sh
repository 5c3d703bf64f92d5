#!/bin/sh
# A trainer that is killed is started again and goes on from its checkpoint, three times; one that is killed again,
# cancelled or missing fails its job and nothing else: versions, devices and honed go on.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
slow_trainer
rm "$dir/slow"
model_more="$model_more
    train: {checkpoint: 10ms}"
first_version
touch "$dir/slow"
before=$(sql "SELECT group_concat(id || state || digest) FROM version")
digest=$(device 1 digest)

# killed at work
mark=$(newest)
ctl retrain pump --reason "to be killed" >"$dir/out"
until_event 10 "$mark" '.kind == "job_plan"'
for n in 1 2 3; do
	wait_for 5 "trainer" trainer_runs
	[ "$(cat "/proc/$trainer/comm")" = hone-train ] || fail "no trainer"
	wait_for 5 "checkpoint" test -s "$db-checkpoint"
	kill -KILL "$trainer"
	until_event 10 "$mark" '.kind == "job_restarted"'
	until_event 10 "$mark" '.kind == "job_resumed"'
	echo "$event"
	echo "$event" | jq -e '.evidence.step > 0' >"$dir/out" || fail "not resumed after kill $n"
	mark=$(newest)
done
wait_for 5 "trainer" trainer_runs
kill -KILL "$trainer"
until_event 10 "$mark" '.kind == "job_failed"'
echo "$event"
echo "$event" | jq -r .reason | grep -q 'killed by signal 9' || fail "the reason is not named"

[ ! -e "$db-checkpoint" ] || fail "the checkpoint of a job that ended is still there"

# cancelled at work
ctl retrain pump --reason "to be cancelled" >"$dir/out"
wait_for 5 "trainer" trainer_runs
job=$(ctl_json jobs | jq '.[0].id')
rc=0
ctl retrain pump >"$dir/out" 2>&1 || rc=$?
expect_equal "exit code of a second job" $rc 1
ctl cancel "$job" >"$dir/out" || fail "not cancelled"
failed() { [ "$(ctl_json job "$job" | jq -r .state)" = failed ]; }
wait_for 5 "end of the cancelled job" failed
wait_for 5 "end of its process" gone "$trainer"

# not there at all
mv "$helper" "$helper.away"
rc=0
ctl retrain pump --wait >"$dir/out" 2>&1 || rc=$?
expect_equal "exit code without a trainer" $rc 1
expect_text "$dir/out" "no such file"
mv "$helper.away" "$helper"

expect_equal "versions" "$(sql "SELECT group_concat(id || state || digest) FROM version")" "$before"
expect_equal "rollouts" "$(sql 'SELECT count(*) FROM rollout')" 1
serves 1 || fail "version 1 is not in service"
expect_equal "digest" "$(device 1 digest)" "$digest"
rm "$dir/slow"
sed "s/train: {checkpoint: 10ms}/train: {seed: 2}/" "$conf" >"$dir/next.yaml"
cp "$dir/next.yaml" "$conf"
kill -HUP "$pid"
ctl retrain pump --wait >"$dir/out" 2>&1 || { cat "$dir/out"; fail "no training after that"; }
wait_for 20 "version 2 on both pumps" serves 2
stop
