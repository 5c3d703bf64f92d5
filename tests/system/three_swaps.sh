#!/bin/sh
# Three trainings by hand in a row each end in a swap on both devices, confirmed, without a missed inference.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
first_version
for v in 2 3 4; do
	mark=$(newest)
	# other weights each time: the seed is a setting that a reload changes
	grep -v 'seed:' "$conf" | sed "s/^    window: 32/&\n    train: {seed: $v}/" >"$dir/next.yaml"
	cp "$dir/next.yaml" "$conf"
	kill -HUP "$pid"
	ctl retrain pump --wait --reason "swap $v" >"$dir/retrain.out" 2>&1 || { cat "$dir/retrain.out"; fail "training $v"; }
	wait_for 20 "version $v on both pumps" serves $v
	expect_equal "confirmed swaps to version $v" "$(count "$mark" '.kind == "confirmed"')" 2
	expect_equal "swaps that failed" "$(count "$mark" '.kind == "swap_failed" or .kind == "revert"')" 0
done
expect_equal "digests of versions" "$(sql 'SELECT count(DISTINCT digest) FROM version')" 4
for n in 1 2; do
	expect_equal "missed inferences of pump-$n" "$(device $n missed)" 0
	expect_equal "versions that pump-$n ran, in order" \
		"$(cut -d , -f 5 "$dir/pump-$n.truth" | uniq | tr '\n' ' ')" "0 1 2 3 4 "
	awk -F, '$5 > 0 && $4 == "-"' "$dir/pump-$n.truth" | grep -q . && fail "a window without an answer"
	expect_equal "restarts of pump-$n" "$(ctl_json sources | jq ".[] | select(.name == \"pump-$n\") | .restarts")" 0
done
ctl model pump >"$dir/model.out"
grep -q 'windows keep their class; .* costs most' "$dir/model.out" || { cat "$dir/model.out"; fail "honectl model and int8"; }
stop
