#!/bin/sh
# The whole loop through an MQTT broker: samples, a version on both devices, the broker restarted in a transfer,
# retained messages of the past ignored.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
broker=$(PATH=$PATH:/usr/sbin command -v mosquitto) || skip "no broker: scripts/setup test installs mosquitto"
echo "$master" >"$dir/master.key"
record 240
free_port
printf 'listener %s 127.0.0.1\nallow_anonymous true\n' $port >"$dir/broker.conf"
start_broker() {
	launch "$dir/broker.log" "$broker" -c "$dir/broker.conf"
	broker_pid=$launched
}
topic() { echo "plant/00000000000000a$1"; }
publish() { mosquitto_pub -h 127.0.0.1 -p $port "$@"; }

conf_pump "$(bench_file)" | sed "s|port: \"unix:$run/pump-\(.\)\"|port: \"mqtt:127.0.0.1:$port\", prefix: plant, qos: 1, energy_per_byte: 2|" >"$conf"
start_broker
sim 1 --link "mqtt:127.0.0.1:$port/$(topic 1)" --geometry 4096,8,32768,700000  # takes its time to erase
sim 2 --link "mqtt:127.0.0.1:$port/$(topic 2)"
answers_broker() { publish -t probe -m x; }
wait_for 5 "broker" answers_broker
# what a broker kept from another time: not a command of ours, not a word of the device
printf '\001\002\003\000' >"$dir/old"
publish -r -t "$(topic 1)/up" -f "$dir/old"
publish -r -t "$(topic 1)/down" -f "$dir/old"
start
until_event 20 0 '.kind == "source_end"'
wait_for 15 "pump-1" online 1
wait_for 15 "pump-2" online 2
# shellcheck disable=SC2317 # wait_for calls it
retained() { [ "$(ctl_json sources | jq '.[1].refused.retained // 0')" -ge 1 ]; }
wait_for 5 "count of the retained message" retained
ctl retrain pump --wait >"$dir/out" 2>&1 || { cat "$dir/out"; fail "no version"; }

# the broker goes in the middle of a transfer and comes back
sending() { ctl_json devices | jq -e '.[0] | .rollout.state == "sending" and (.phase == "begin" or .phase == "send")'; }
wait_for 10 "transfer" sending
end TERM "$broker_pid"
wait_for 15 "word of the broker that is gone" has "$log" "event=source_down source=pump-1"
start_broker
wait_for 20 "pump-1 again" online 1
wait_for 40 "version 1 on both pumps" serves 1
got=$(frames vib-1)
wait_for 5 "new frames" eval "[ \$(frames vib-1) -gt $((got + 400)) ]"
expect_at_least "bytes of packages in the account" "$(device 1 traffic.down.package.bytes)" 1000
expect_at_least "bytes of samples in the account" "$(device 1 traffic.up.samples.bytes)" 1000
ctl_json devices | jq -e '.[0].traffic.energy_mj > 1' >/dev/null || fail "no energy in the account"
mosquitto_sub -h 127.0.0.1 -p $port -t "plant/#" -W 1 -F %t --retained-only >"$dir/retained" 2>/dev/null || [ $? -eq 27 ] ||
	fail "cannot ask the broker what it retains"    # 27: listened for a second
expect_equal "retained messages" "$(wc -l <"$dir/retained")" 0
stop
