#!/bin/sh
# A device that does not know our key refuses the weights: the rollout ends with the cause, the old ones stay.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
printf '%064d\n' 8 >"$dir/pump-1.key"
commission
wait_for 10 "both pumps" online 2
wait_for 10 "both pumps" online 1
ctl retrain pump --wait >"$dir/out" 2>&1 || { cat "$dir/out"; fail "no version"; }
until_event 10 0 '.kind == "swap_failed" and .device == "pump-1"'
echo "$event"
echo "$event" | jq -r .reason | grep -qF 'wrong key?' || fail "the cause is not named"
until_event 5 0 '.kind == "rollout_failed"'
expect_equal "attempts" "$(count 0 '.kind == "swap_started"')" 1
expect_equal "model of pump-1" "$(device 1 active_model)" 0
expect_equal "model of pump-2" "$(device 2 active_model)" 0
expect_equal "trials" "$(count 0 '.kind == "trial_started"')" 0
ctl status >/dev/null
stop
