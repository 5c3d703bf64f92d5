#!/bin/sh
# Swaps over a bad line end well although honed and the device are killed in the middle of them.
# STORM_KILLS: how often honed is killed (3); `make linkstorm` kills it more often.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
kills=${STORM_KILLS:-3}
[ -x "$build/tests/fault/linkproxy" ] || skip "no linkproxy: make system builds it"
model_more='    policy: {mode: manual}
    gate: {windows_min: 1, gain_min: -1, forget_max: 1, int8_loss_max: 1}
    rollout: {trial_inferences: 10, probation: 0s}'
faults=bits,burst,byte_lost,byte_more,frame_lost,frame_twice,disorder,truncate,zero_more,zero_lost,echo

echo "$master" >"$dir/master.key"
record 240
sim 1
sim 2
launch "$dir/proxy.log" "$build/tests/fault/linkproxy" "$run/line-1" "$run/pump-1" 115200 1 $faults 60 2
proxy=$launched
conf_pump "$(bench_file)" | sed "s|unix:$run/pump-1|unix:$run/line-1|" >"$conf"
start
until_event 20 0 '.kind == "source_end"'
ctl retrain pump --wait --reason "first version" >"$dir/out" 2>&1 || { cat "$dir/out"; fail "no first version"; }
wait_for 40 "version 1 on both pumps" serves 1
cp "$conf" "$dir/first.yaml"

# another N: a version of another seed is promoted, its rollout begins
another() {
	sed "s/^    window: 32/&\n    train: {seed: $1}/" "$dir/first.yaml" >"$conf"
	kill -HUP "$pid"
	ctl retrain pump --wait --reason "seed $1" >"$dir/out" 2>&1 || { cat "$dir/out"; fail "no version of seed $1"; }
}

target=1 round=0 worst=0
while [ $round -lt "$kills" ]; do
	round=$((round + 1)) target=$((target + 1))
	kill -USR1 "$proxy"             # a storm of two seconds
	another $((round + 1))
	wait_ms=$((round * 137 % 1400))     # in the transfer, the trial, between the devices
	sleep "$(printf '%d.%03d' $((wait_ms / 1000)) $((wait_ms % 1000)))"
	crash
	if [ $((round % 3)) -eq 0 ]; then   # the device, too
		end KILL "$sim_1"
		sim 1
	fi
	start
	begin=$(date +%s%N)
	wait_for 40 "version $target on both pumps in round $round" serves $target
	took=$((($(date +%s%N) - begin) / 1000000))
	[ $took -le $worst ] || worst=$took
	echo "round $round: killed after $wait_ms ms, version $target on both pumps $took ms after the restart"
done
for k in 1 2; do
	ran=$(cut -d , -f 5 "$dir/pump-$k.truth" | sort -nu | tr '\n' ' ')
	expect_equal "versions that pump-$k ran" "$ran" "$(seq -s ' ' 0 $target) "
	awk -F, '$5 > 0 && $4 == "-"' "$dir/pump-$k.truth" | grep -q . && fail "pump-$k: a window without an answer"
	expect_equal "missed inferences of pump-$k" "$(tail -n 1 "$dir/pump-$k.truth" | cut -d , -f 6)" 0
done
expect_at_least "damaged frames" "$(ctl_json sources | jq '.[1].refused.crc // 0')" 1
echo "kills $round, the longest way back $worst ms"
echo "{\"daemon_kills\": $round, \"daemon_kill_failures\": 0, \"longest_way_back_ms\": $worst}" >"$dir/kills.json"
stop
