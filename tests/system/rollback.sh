#!/bin/sh
# A rollback by hand returns both devices to the weights before, and the journal says who wanted it and why.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
first_version
rc=0
ctl rollback pump >"$dir/out" 2>&1 || rc=$?
expect_equal "exit code of a rollback without an earlier version" $rc 1
first=$(device 1 digest)
sed "s/^    window: 32/&\n    train: {seed: 2}/" "$conf" >"$dir/next.yaml"
cp "$dir/next.yaml" "$conf"
kill -HUP "$pid"
ctl retrain pump --wait --reason second >"$dir/out" 2>&1 || { cat "$dir/out"; fail "no second version"; }
wait_for 20 "version 2 on both pumps" serves 2
[ "$(device 1 digest)" != "$first" ] || fail "version 2 has the digest of version 1"

mark=$(newest)
ctl rollback pump --reason "false alarms in the night" >"$dir/out" || fail "rollback refused"
wait_for 20 "version 1 on both pumps" serves 1
expect_equal "digest of pump-1" "$(device 1 digest)" "$first"
expect_equal "digest of pump-2" "$(device 2 digest)" "$first"
until_event 5 "$mark" '.kind == "rolled_back"'
echo "$event"
expect_equal "reason" "$(echo "$event" | jq -r .reason)" "false alarms in the night"
echo "$event" | jq -r .actor | grep -q '^uid [0-9]' || fail "the journal does not say who"
expect_equal "states" "$(ctl_json model pump | jq -r '[.versions[].state] | sort | join(" ")')" "champion retired"
for n in 1 2; do
	expect_equal "missed inferences of pump-$n" "$(device $n missed)" 0
	expect_equal "versions that pump-$n ran" "$(cut -d , -f 5 "$dir/pump-$n.truth" | uniq | tr '\n' ' ')" "0 1 2 1 "
	# an older model in a newer package: the device's floor only rises
	[ "$(device $n active_version)" -gt 2 ] || fail "the package's version went back"
done
stop
start
wait_for 10 "the same after a restart" serves 1
expect_equal "digest after a restart" "$(device 1 digest)" "$first"
stop
