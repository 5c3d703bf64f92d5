#!/bin/sh
# Rollouts go group after group, can be paused, leave sleepers for later and forecast their end.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
# pump-1 is the canary, pump-2 and pump-3 are the second group; pump-4 of it sleeps
model_more='    policy: {mode: manual}
    rollout: {trial_inferences: 20, probation: 0s, wait: 3s, batch: 2}'
echo "$master" >"$dir/master.key"
record 240
conf_pump "$(bench_file)" | awk -v run="$run" '
	/name: pump-2, type: link/ { print; for (n = 3; n <= 4; n++)
		printf "  - {name: pump-%d, type: link, port: \"unix:%s/pump-%d\"}\n", n, run, n; next }
	/^models:/ { for (n = 3; n <= 4; n++) {
		printf "  - name: vib-%d\n    source: pump-%d\n    period: 2.5ms\n    channels:\n", n, n
		for (a = 0; a < 3; a++) printf "      - {name: a%s, unit: g, scale: 0.000244140625}\n", substr("xyz", a + 1, 1) } }
	/uid:/ { sub(/model: pump}/, "model: pump, group: " ($0 ~ /pump-1/ ? 0 : 1) "}") }
	{ print }
	END { for (n = 3; n <= 4; n++)
		printf "  - {name: pump-%d, uid: \"00000000000000a%d\", source: pump-%d, stream: vib-%d, model: pump, group: 1}\n", n, n, n, n }' \
	>"$conf"
sim 1
sim 2
sim 3
start
until_event 20 0 '.kind == "source_end"'
for n in 1 2 3; do wait_for 10 "pump-$n" online $n; done

rollout() { ctl_json rollouts | jq -r ".[0].$1"; }
is() { [ "$(rollout "$1")" = "$2" ]; }

ctl retrain pump --wait >"$dir/out" 2>&1 || { cat "$dir/out"; fail "no version"; }
until_event 10 0 '.kind == "swap_started" and .device == "pump-1"'
ctl rollout pause pump >"$dir/out" || { cat "$dir/out"; fail "no pause"; }
expect_text "$dir/out" 'undo: honectl rollout resume pump'
expect_equal "state" "$(rollout state)" paused
expect_equal "forecast while paused" "$(rollout eta_s)" null
until_event 20 0 '.kind == "confirmed" and .device == "pump-1"'
ctl rollout pause pump >"$dir/out" 2>&1 && fail "paused twice"
expect_text "$dir/out" 'only one that runs can be paused'

# a paused rollout stays so over a restart, and nobody else starts
crash
start
wait_for 10 "pump-2 after the restart" online 2
wait_for 10 "pump-3 after the restart" online 3
expect_equal "state after a restart" "$(rollout state)" paused
expect_equal "devices begun before the rollout goes on" "$(count 0 '.kind == "swap_started"')" 1

mark=$(newest)
ctl rollout resume pump >/dev/null
eta=null
ended_with_forecast() {
	e=$(rollout eta_s)
	[ "$e" = null ] || eta=$e
	is state 'done'
}
wait_for 30 "end of the rollout" ended_with_forecast
[ "$eta" != null ] || fail "no forecast in the whole rollout"
echo "a forecast on the way: $eta s"
# both of the second group were under way at once
expect_equal "order" "$(events "$mark" '.kind == "swap_started" or .kind == "confirmed"' |
	jq -r .kind | head -n 2 | tr '\n' ' ')" "swap_started swap_started "
until_event 5 "$mark" '.kind == "rollout_done"'
echo "$event" | jq -r .reason
echo "$event" | jq -r .reason | grep -qF '3 of 4 devices' || fail "the sleeper is not counted"
expect_equal "asleep" "$(rollout asleep)" 1

# the sleeper gets it when it answers; the rollout does not end a second time
sim 4
until_event 20 "$mark" '.kind == "confirmed" and .device == "pump-4"'
wait_for 10 "end" is state 'done'
expect_equal "ends" "$(count "$mark" '.kind == "rollout_done"')" 1
ctl history pump-4 >"$dir/out"
expect_text "$dir/out" confirmed
ctl_json history pump-1 | jq -e 'length == 1 and .[0].state == "confirmed" and .[0].attempts == 1' >/dev/null ||
	fail "history of pump-1"
for n in 1 2 3 4; do expect_equal "missed inferences of pump-$n" "$(device $n missed)" 0; done
ctl rollout retry pump >"$dir/out" 2>&1 && fail "nothing had failed"
expect_text "$dir/out" 'no device of pump has failed'
stop
