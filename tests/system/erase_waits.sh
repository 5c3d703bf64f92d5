#!/bin/sh
# A device whose erases are longer than the time between two inferences keeps its weights, misses nothing, and says so.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
echo "$master" >"$dir/master.key"
record 240
sim 1 --geometry 4096,8,32768,700000
sim 2
conf_pump "$(bench_file)" >"$conf"
start
until_event 20 0 '.kind == "source_end"'
ctl retrain pump --wait >"$dir/out" 2>&1 || { cat "$dir/out"; fail "no version"; }
wait_for 60 "version 1 on both pumps" serves 1     # with nothing in service it may erase at any time
sed -i "s|^    window: 32|&\n    train: {seed: 2}|" "$conf"
kill -HUP "$pid"
ctl retrain pump --wait >"$dir/out" 2>&1 || { cat "$dir/out"; fail "no second version"; }
until_event 60 0 '.kind == "erase_waits"'
echo "$event"
echo "$event" | jq -r .reason | grep -qE '0.7 s at a time, and 1[0-9.]* inferences a second' || fail "the cause is not named"
expect_equal "its model" "$(device 1 active_model)" 1
expect_equal "its missed inferences" "$(device 1 missed)" 0
expect_equal "times it was said" "$(count 0 '.kind == "erase_waits"')" 1
stop
