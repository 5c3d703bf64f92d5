#!/bin/sh
# An autoencoder learns without a label what is normal; both devices report what is not; when the sensor ages,
# the loop retrains it by itself.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
model_more='    anomaly: {quantile: 0.99}
    monitor: {learn: 64, block: 32}
    policy: {mode: manual, labels_min: 200, cooldown: 1s}
    rollout: {trial_inferences: 10, probation: 0s}'
echo "$master" >"$dir/master.key"
record 1200
# the commissioning data of a machine that runs well: bearing and cavitation are not in it
awk -F, -v OFS=, 'NR == 1 { print; next } { w = int((NR - 2) / 32) }
	(NR - 2) % 32 == 0 { n = 0 } { row[++n] = $1 OFS $2 OFS $3 OFS $4; if ($5 != "") state = $5 }
	n == 32 { if (state < 2) for (i = 1; i <= 32; i++) print row[i], "" }' "$dir/bench.csv" >"$dir/good.csv"
mv "$dir/good.csv" "$dir/bench.csv"
conf_pump "$(bench_file)" | sed 's/task: classify/task: autoencode/; /classes:/d
	s/^    window: 32/&\n    predict: true/; s/network: .*/network: "dense 24, relu, dense 12, relu, dense 24, relu, dense 96"/' >"$conf"
start
until_event 20 0 '.kind == "source_end"'
ctl retrain pump --wait --reason "first version" >"$dir/retrain.out" 2>&1 || { cat "$dir/retrain.out"; fail "no first version"; }
cat "$dir/retrain.out"
sim 1
sim 2
wait_for 30 "version 1 on both pumps" serves 1
mark=$(newest)
answered() { [ "$(awk -F, '$5 == 1' "$dir/pump-$1.truth" | wc -l)" -ge "$2" ]; }
wait_for 60 "windows of pump-1" answered 1 300
wait_for 60 "windows of pump-2" answered 2 300
awk -F, '$5 == 1 { n[$3]++; odd[$3] += $4 } END { for (s = 0; s < 4; s++) printf "state %d: %d of %d windows are anomalies\n", s, odd[s], n[s] }' \
	"$dir/pump-1.truth" "$dir/pump-2.truth" | tee "$dir/found.txt"
rate() { awk -v s="$1" '$2 == s ":" { print int(100 * $3 / $5) }' "$dir/found.txt"; }
for state in 0 1; do [ "$(rate $state)" -le 15 ] || fail "false alarms in state $state"; done
for state in 2 3; do expect_at_least "percent found in state $state" "$(rate $state)" 90; done
until_event 5 "$mark" '.kind == "anomaly" and .stream == "vib-1"'
echo "$event"
until_event 5 "$mark" '.kind == "anomaly_over" and .stream == "vib-1"'
echo "$event"
ctl metrics | grep -q '^honed_anomalies_total{model="pump"} [1-9]' || fail "no metric of anomalies"
expect_equal "task of the model" "$(ctl_json model pump | jq -r .task)" autoencode
expect_at_least "anomalies in the answer" "$(ctl_json model pump | jq .anomalies.n)" 100
ctl model pump >"$dir/model.out"
expect_text "$dir/model.out" "skill "
expect_text "$dir/model.out" "in float "

# the gateway answers the same windows with the same distance
same="FROM prediction a JOIN prediction b ON a.stream = b.stream AND a.t = b.t AND a.version = b.version
	AND a.device = 1 AND b.device = 0"
expect_at_least "windows answered by both" "$(sql "SELECT count(*) $same")" 300
expect_equal "different answers" "$(sql "SELECT count(*) $same WHERE a.class <> b.class OR a.margin <> b.margin")" 0

# out and in again: the same net is not better than itself
ctl model export pump:1 -o "$dir/net.onnx" >"$dir/export.out" 2>&1 || { cat "$dir/export.out"; fail "export"; }
rc=0
ctl model import "$dir/net.onnx" --name pump --wait >"$dir/import.out" 2>&1 || rc=$?
expect_equal "exit code of an import that is not better" $rc 5
expect_text "$dir/import.out" "skill"

# names of the answers are labels
t=$(sql "SELECT max(t) FROM prediction WHERE device = 1")
ctl label vib-1 "$t" anomaly >"$dir/label.out" 2>&1 || { cat "$dir/label.out"; fail "label anomaly"; }
labelled() { [ "$(sql "SELECT value FROM label WHERE t0 = $t")" = 1.0 ]; }
wait_for 5 "label" labelled

# the sensors age: nobody labels anything, and the next version knows the new regime
sed 's/mode: manual/mode: auto/' "$conf" >"$dir/next.yaml"
cp "$dir/next.yaml" "$conf"
kill -HUP "$pid"
wait_for 5 "reload" has "$log" "result=applied"
mark=$(newest)
kill -USR1 "$sim_1"
kill -USR1 "$sim_2"
until_event 60 "$mark" '.kind == "alarm"'
until_event 60 "$mark" '.kind == "job_started" and (.reason | startswith("data drift"))'
mark=$(echo "$event" | jq .id)
echo "$event" | jq -r .reason
until_event 60 "$mark" '.kind == "promoted" and .actor == "gate" and (.reason | endswith("recent windows"))'
echo "$event" | jq -r .reason
until_event 30 "$mark" '.kind == "rollout_done"'
expect_equal "questions to a person" "$(count 0 '.kind == "labels_wanted"')" 0
[ "$(ctl_json model pump | jq '.loop.labels_asked')" = 0 ] || fail "labels were asked for"
for n in 1 2; do expect_equal "missed inferences of pump-$n" "$(device $n missed)" 0; done
stop
start
restarted() { [ "$(ctl_json model pump | jq .anomalies.windows)" -ge 20 ]; }
wait_for 20 "answers after a restart" restarted
stop
