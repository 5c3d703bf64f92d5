#!/bin/sh
# A device that boots in the middle of its trial begins the trial anew: it is not confirmed by inferences of before.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
model_more='    policy: {mode: manual}
    rollout: {trial_inferences: 40, probation: 0s}'
commission
ctl retrain pump --wait >"$dir/out" 2>&1 || { cat "$dir/out"; fail "no version"; }
until_event 10 0 '.kind == "trial_started"'
first=$(echo "$event" | jq -r .device)
n=${first#pump-}
ran() { [ "$(awk -F, '$5 == 1' "$dir/pump-$n.truth" | wc -l)" -ge "$1" ]; }
wait_for 10 "20 inferences of the trial" ran 20
mark=$(newest)
[ "$n" = 1 ] && booted=$sim_1 || booted=$sim_2
end KILL "$booted"
mv "$dir/pump-$n.truth" "$dir/before.truth"
sim "$n"
until_event 15 "$mark" ".kind == \"trial_started\" and .device == \"$first\""
until_event 15 "$mark" ".kind == \"confirmed\" and .device == \"$first\""
ran 40 || fail "confirmed after $(awk -F, '$5 == 1' "$dir/pump-$n.truth" | wc -l) inferences since the boot"
wait_for 20 "version 1 on both pumps" serves 1
stop
