#!/bin/sh
# A device that sends sketches drifts: the alarm is raised from the sketches, and raw windows are pulled.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
heartbeat=160ms                  # two windows
model_more="    monitor: {learn: 64}
$model_more"
conf_pump "$(bench_file)" | sed "s/streams: \[bench\]/streams: [bench, vib-1]/
	s/stream: vib-1, model: pump/stream: vib-1, model: pump, telemetry: sketch, heartbeat: $heartbeat, pull: 50/
	s/stream: vib-2, model: pump/stream: vib-2, model: pump, telemetry: exception, heartbeat: 10s/" >"$dir/next.yaml"
echo "$master" >"$dir/master.key"
record 240
sim 1
sim 2
cp "$dir/next.yaml" "$conf"
start
until_event 20 0 '.kind == "source_end"'
ctl retrain pump --wait --reason "first version" >"$dir/retrain.out" 2>&1 || { cat "$dir/retrain.out"; fail "no first version"; }
wait_for 30 "version 1 on both pumps" serves 1

sketches() { device "$1" telemetry.sketches; }
enough() { [ "$(sketches 1)" -gt "$1" ]; }
wait_for 20 "sketches of pump-1" enough 10
quiet=$(frames vib-1)
wait_for 40 "a reference made of sketches" enough $(($(sketches 1) + 200))
expect_equal "raw frames of vib-1 while nothing happens" "$(frames vib-1)" "$quiet"
expect_equal "alarms while nothing happens" "$(count 0 '.kind == "alarm"')" 0

# by hand
ctl pull pump-1 7 >"$dir/pull.out"
expect_text "$dir/pull.out" "7 windows"
pulled() { [ "$(frames vib-1)" = $((quiet + $1 * 32)) ]; }
wait_for 10 "seven windows of pump-1" pulled 7
ctl pull bench 5 >"$dir/pull.out" 2>&1 && fail "a pull of no device"
ctl pull pump-1 0 >"$dir/pull.out" 2>&1 && fail "a pull of no windows"

# the sensor ages: alarm, and fifty windows come
mark=$(newest)
kill -USR1 "$sim_1"
until_event 60 "$mark" '.kind == "alarm"'
expect_equal "stream of the alarm" "$(echo "$event" | jq -r .stream)" vib-1
until_event 5 "$mark" '.kind == "pull" and .actor == "monitor"'
expect_equal "windows that the monitor asks for" "$(echo "$event" | jq .evidence.windows)" 50
wait_for 20 "fifty windows of pump-1" pulled 57
expect_equal "missed frames of pump-1" "$(ctl_json sources | jq '.[] | select(.name == "pump-1") | .missed_frames')" 0

# the other pump ages, and says so before its heartbeat
mark=$(newest)
before=$(sketches 2)
kill -USR1 "$sim_2"
until_event 60 "$mark" '.kind == "exception" and .device == "pump-2"'
[ "$(sketches 2)" -gt "$before" ] || fail "no sketch came with the exception"
for n in 1 2; do
	expect_equal "missed inferences of pump-$n" "$(device $n missed)" 0
done
stop
