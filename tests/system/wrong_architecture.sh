#!/bin/sh
# A device of another architecture is refused with both hashes named; the other one is not touched, nor is it again.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
echo "$master" >"$dir/master.key"
record 240
sim 1 --arch 0badc0de
sim 2
conf_pump "$(bench_file)" >"$conf"
start
until_event 20 0 '.kind == "source_end"'
wait_for 10 "both pumps" online 2
wait_for 10 "both pumps" online 1
ctl retrain pump --wait >"$dir/out" 2>&1 || { cat "$dir/out"; fail "no version"; }
until_event 10 0 '.kind == "swap_failed" and .device == "pump-1"'
echo "$event"
echo "$event" | jq -r .reason | grep -qE 'the device runs 0badc0de, the version is [0-9a-f]{8}' || fail "no hashes"
until_event 10 0 '.kind == "rollout_failed"'
expect_equal "attempts" "$(count 0 '.kind == "swap_started"')" 1
expect_equal "package bytes sent to pump-1" "$(device 1 bytes_sent)" 0
expect_equal "model of pump-1" "$(device 1 active_model)" 0
expect_equal "model of pump-2" "$(device 2 active_model)" 0
ctl status >/dev/null
stop
# the way out: a right device in its place, and another training
end TERM "$sim_1"
sim 1
start
wait_for 10 "pump-1" online 1
ctl retrain pump --wait >"$dir/out" 2>&1 || { cat "$dir/out"; fail "no version"; }
wait_for 20 "version 2 on both pumps" serves 2
stop
