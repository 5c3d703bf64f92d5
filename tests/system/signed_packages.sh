#!/bin/sh
# Devices that want a signature: signed packages are taken, unsigned ones and those of another key are not, and
# a key is replaced by the next one, device by device.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
model_more='    policy: {mode: manual}
    gate: {windows_min: 1, gain_min: -1, forget_max: 1, int8_loss_max: 1}
    rollout: {trial_inferences: 10, probation: 0s, attempts: 1}'
echo "$master" >"$dir/master.key"
record 240
first=$("$build/honectl" key sign "$dir/first.key") || fail "honectl key sign"
expect_equal "public key of the file" "$("$build/honectl" key public "$dir/first.key")" "$first"
"$build/honectl" key sign "$dir/first.key" >"$dir/out" 2>&1 && fail "a key was replaced"
# the next one is made elsewhere, as PEM
if command -v openssl >/dev/null; then
	(umask 077 && openssl genpkey -algorithm ed25519 -out "$dir/second.key" 2>"$dir/openssl.log")
	second=$("$build/honectl" key public "$dir/second.key")
	expect_equal "public key as openssl sees it" "$second" \
		"$(openssl pkey -in "$dir/second.key" -pubout -outform DER | tail -c 32 | od -An -tx1 | tr -d " \n")"
else
	second=$("$build/honectl" key sign "$dir/second.key")
fi
write_conf() { # KEY ID SIGNED SEED
	conf_pump "$(bench_file)" | sed "s|^keys: .*|keys: {master: $dir/master.key, sign: \"$1\", sign_id: $2}|
		s|model: pump}|model: pump, signed: $3}|; s|^    window: 32|&\n    train: {seed: $4}|" >"$conf"
}
another() { # a version of these weights; its rollout begins
	since=$(newest)
	ctl retrain pump --wait --reason "$1" >"$dir/out" 2>&1 || { cat "$dir/out"; fail "no version: $1"; }
}
refused() { # DEVICE, or - for the canary, whichever that is
	until_event 15 "$since" ".kind == \"swap_failed\" and (\"$1\" == \"-\" or .device == \"pump-$1\")"
	echo "$event" | jq -r .reason
	echo "$event" | grep -qF 'signature' || fail "the cause is not named: $event"
}

# who may read the key
write_conf "$dir/first.key" 3 true 1
chmod 644 "$dir/first.key"
code=0
"$build/honed" --config "$conf" >"$log" 2>&1 || code=$?
[ $code -ne 0 ] || fail "honed began with a key that all may read"
expect_text "$log" "chmod 600"
chmod 600 "$dir/first.key"

# signed: both take it.  pump-1 knows both keys already
sim 1 --sign-key "3:$first" --sign-key "4:$second"
sim 2 --sign-key "3:$first"
start
until_event 20 0 '.kind == "source_end"'
another "first version"
wait_for 30 "version 1 on both pumps" serves 1
stop

# not signed: neither takes it
write_conf "" 0 false 2
start
another "unsigned"
refused -
stop

# the next key: pump-1 takes it; pump-2 does not know it, until its firmware does
write_conf "$dir/second.key" 4 true 3
start
another "the next key"
refused 2
wait_for 30 "version 1 on both pumps again" serves 1
stop
end KILL "$sim_2"
sim 2 --sign-key "4:$second"
write_conf "$dir/second.key" 4 true 4
start
another "the next key on both"
wait_for 30 "version 4 on both pumps" serves 4
stop

# the key of before, and the number of the new one on it: nobody takes these
end KILL "$sim_1"
sim 1 --sign-key "4:$second"
for id in 3 4; do
	write_conf "$dir/first.key" $id true $((id + 2))
	start
	another "the old key as $id"
	refused -
	stop
done
