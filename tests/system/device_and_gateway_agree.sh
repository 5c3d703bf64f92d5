#!/bin/sh
# What the devices answer is what the gateway computes from the frames that they sent: the same
# image, the same windows, the same class, for every window; on the simulator and on the emulated Cortex-M4.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"

firmware=$build/../firmware/an386/pump.elf
devices="1"
if [ -r "$firmware" ] && command -v qemu-system-arm >/dev/null 2>&1; then devices="1 2"; fi
printf '%s\n' "$master" > "$dir/master.key"
key() { "$build/honectl" key device "$dir/master.key" "$1"; }

# 400 windows of a pump whose states are known; the label stands at the end of each window
"$build/hone-sim" --record 12800 "$dir/raw.csv" --seed 11 --record-from 1700000000000000
awk -F, -v OFS=, 'NR == 1 { print "time_us", "ax", "ay", "az", "state"; next }
	{ print $1, $2 / 4096, $3 / 4096, $4 / 4096, (NR - 1) % 32 ? "" : $5 }' "$dir/raw.csv" > "$dir/bench.csv"

{
	cat <<YAML
store: {path: $db, commit_every: 100ms}
status: {socket: $sock}
keys: {master: $dir/master.key}
sources:
  - {name: bench, type: file, path: $dir/bench.csv, stream: bench, time: time_us, pace: fast, label: state}
YAML
	for n in $devices; do echo "  - {name: dev-$n, type: link, port: 'unix:$run/dev-$n.sock'}"; done
	echo "streams:"
	echo "  - {name: bench, source: bench, period: 2500us, channels: [{name: ax, scale: 0.000244140625}, {name: ay, scale: 0.000244140625}, {name: az, scale: 0.000244140625}]}"
	for n in $devices; do
		echo "  - {name: vib-$n, source: dev-$n, period: 2500us, channels: [{name: ax, scale: 0.000244140625}, {name: ay, scale: 0.000244140625}, {name: az, scale: 0.000244140625}]}"
	done
	cat <<YAML
models:
  - name: pump
    streams: [bench]
    classes: [off, normal, cavitation, bearing]
    window: 32
    network: "dense 24, relu, dense 4"
    predict: true
    policy: {mode: manual}
    rollout: {trial_inferences: 10}
devices:
YAML
	for n in $devices; do echo "  - {name: pump-$n, uid: '000000000000000$n', source: dev-$n, stream: vib-$n, model: pump}"; done
} > "$conf"

key 0000000000000001 > "$dir/1.key"
launch "$dir/sim.log" "$build/hone-sim" --link "unix:$run/dev-1.sock" --flash "$dir/1.flash" --uid 0000000000000001 \
	--key-file "$dir/1.key" --seed 3
if [ "$devices" = "1 2" ]; then
	echo "uid=0000000000000002 key=$(key 0000000000000002) seed=4 nonce=5" > "$dir/2.opt"
	launch "$dir/qemu.log" qemu-system-arm -M mps2-an386 -display none -monitor none -kernel "$firmware" \
		-device "loader,file=$dir/2.opt,addr=0x21100000,force-raw=on" \
		-serial "unix:$run/dev-2.sock,server=on,wait=off" -serial "file:$dir/2.truth"
fi
start
wait_for 10 "end of the recording" happened 0 '.kind == "source_end"'
ctl retrain pump --wait >/dev/null
wait_for 30 "rollout" happened 0 '.kind == "rollout_done"'

enough() { # windows that both judged, on the stream with the fewest
	[ "$(sql "SELECT count(*) FROM (SELECT a.stream FROM prediction a JOIN prediction b ON a.stream = b.stream AND a.t = b.t
		AND a.device = 1 AND b.device = 0 AND a.version = b.version GROUP BY a.stream HAVING count(*) >= 100)")" = "$(echo "$devices" | wc -w)" ]
}
wait_for 30 "100 windows judged by both" enough
sql "SELECT s.name, count(*), sum(a.class <> b.class) FROM prediction a JOIN prediction b ON a.stream = b.stream AND a.t = b.t
	AND a.device = 1 AND b.device = 0 AND a.version = b.version JOIN stream s ON s.id = a.stream GROUP BY s.name" | tee "$dir/agree.txt"
expect_equal "windows that differ" "$(awk -F'|' '{ n += $3 } END { print n + 0 }' "$dir/agree.txt")" 0
expect_equal "classes that occur" "$(sql 'SELECT count(DISTINCT class) FROM prediction WHERE device = 1')" 4
stop
