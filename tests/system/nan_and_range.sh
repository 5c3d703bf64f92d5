#!/bin/sh
# NaN, infinite and out-of-range values are flagged and never in training; the windows beside them are.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
model() {
	conf_line "unix:$run/in"
	cat <<YAML
models:
  - {name: m, streams: [t], classes: [low, high], window: 4, network: "dense 4, relu, dense 2", policy: {mode: manual},
     gate: {windows_min: 1}}
YAML
}
model >"$conf"
start

# 40 windows of 4 frames, 1 ms apart; windows 10, 20 and 30 have one bad value each, window 35 has a huge one
# that no range forbids; the label of a window is at its last frame
awk 'BEGIN { for (w = 1; w <= 40; w++) for (i = 0; i < 4; i++) {
	a = w % 2 ? 10 : -10; b = 0.5 + 0.1 * (i % 2)
	if (i == 2 && w == 10) a = "nan"
	if (i == 2 && w == 20) a = "-inf"
	if (i == 2 && w == 30) a = 101
	if (i == 2 && w == 35) b = "1e300"
	printf "t a=%s,b=%s %d\n", a, b, 1000000000 + 1000 * (4 * w + i) } }' >"$dir/lines"
socat -u - "UNIX-CONNECT:$run/in" <"$dir/lines"
n=$(grep -c . "$dir/lines")
all() { [ "$(frames t)" -eq "$n" ]; }
wait_for 5 "frames" all
w=1
while [ $w -le 40 ]; do
	[ $((w % 2)) -eq 0 ] && class=low || class=high
	curl -s -o /dev/null --unix-socket "$sock" -H 'Content-Type: application/json' \
		-d "{\"stream\":\"t\",\"t0\":$((1000000000 + 1000 * (4 * w + 3))),\"label\":\"$class\"}" \
		http://localhost/api/v1/labels
	w=$((w + 1))
done
labelled() { [ "$(sql 'SELECT count(*) FROM label')" -eq 40 ]; }
wait_for 5 "labels" labelled
ctl_json retrain m --wait >"$dir/job" 2>"$dir/err" || { cat "$dir/err"; fail "no version"; }
cat "$dir/job"
expect_equal "labels that the trainer found" "$(jq .report.labels "$dir/job")" 40
expect_equal "windows that it refused" "$(jq .report.windows.refused "$dir/job")" 4
expect_equal "windows that it used" "$(jq '.report.windows | .train + .valid + .holdout' "$dir/job")" 36
jq -e '.report.loss < 10 and .report.gradient_norm < 1000 and .report.int8_right >= 6' "$dir/job" >/dev/null ||
	fail "the training is not that of clean windows"
stop
