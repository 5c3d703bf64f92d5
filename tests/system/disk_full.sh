#!/bin/sh
# A disk that is full when a rollout begins, or in the middle of one: honed says so, the devices keep what they
# have, nothing is told to them that is not written down, and it goes on when there is room again.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
shim=$build/tests/fault/nospace.so
[ -e "$shim" ] || skip "no nospace.so: make system builds it"
model_more='    policy: {mode: manual}
    gate: {windows_min: 1, gain_min: -1, forget_max: 1, int8_loss_max: 1}
    rollout: {trial_inferences: 10, probation: 0s}'
cat >"$dir/honed" <<SH
#!/bin/sh
HONED_NOSPACE=$dir/full LD_PRELOAD=$shim exec "$build/honed" "\$@"
SH
chmod +x "$dir/honed"
mkdir "$dir/bin"
ln -s "$build"/hone* "$dir/bin/"
ln -sf "$dir/honed" "$dir/bin/honed"
helper=$build/hone-train
tools=$build build=$dir/bin
full() { : >"$dir/full"; }
room() { rm "$dir/full"; }
disk_is_full() { tail -n +"$((before + 1))" "$log" | grep -q 'event=db_disk error="database or disk is full"'; }
says_so() {
	wait_for 10 "word of the full disk" disk_is_full
	tail -n +"$((before + 1))" "$log" | grep -m 1 "event=db_disk"
}
has_recovered() { tail -n +"$((before + 1))" "$log" | grep -q "event=db_disk state=recovered"; }
recovers() { wait_for 10 "word of the room" has_recovered; }
lines() { wc -l <"$log"; }
windows() { wc -l <"$dir/pump-$1.truth"; }

echo "$master" >"$dir/master.key"
record 240
sim 1
sim 2
conf_pump "$(bench_file)" >"$conf"
start
until_event 20 0 '.kind == "source_end"'
ctl retrain pump --wait --reason "first version" >"$dir/out" 2>&1 || { cat "$dir/out"; fail "no first version"; }
wait_for 40 "version 1 on both pumps" serves 1
sed -i "s|^    window: 32|&\n    train: {seed: 2}|" "$conf"
kill -HUP "$pid"
ctl retrain pump --wait --reason "second version" >"$dir/out" 2>&1 || { cat "$dir/out"; fail "no second version"; }
wait_for 40 "version 2 on both pumps" serves 2

# full before the rollout begins
before=$(lines) since=$(newest)
full
launch "$dir/rollback.log" "$tools/honectl" --socket "$sock" rollback pump
order=$launched
says_so
had=$(windows 1)
sleep 2
for k in 1 2; do expect_equal "what pump-$k runs on a full disk" "$(cut -d , -f 5 "$dir/pump-$k.truth" | tail -n 1)" 2; done
expect_at_least "windows that pump-1 answered meanwhile" $(($(windows 1) - had)) 10
expect_equal "online on a full disk" "$(device 1 online)" true
room
recovers
wait_for 40 "version 1 on both pumps" serves 1
reap "$order"
expect_equal "failed swaps" "$(count "$since" '.kind == "swap_failed"')" 0

# full in the middle of a transfer: the trial begins on the device, and is not confirmed before it is written down
before=$(lines)
kill -STOP "$sim_1"                     # it does not answer for a moment
ctl retrain pump --wait --reason "third version" >"$dir/out" 2>&1 || { cat "$dir/out"; fail "no third version"; }
sending() { [ "$(device 1 rollout.state)" = sending ]; }
wait_for 10 "transfer" sending
full
kill -CONT "$sim_1"
sleep 3                                 # the word of it is at most three times a minute in the log
expect_equal "what pump-2 runs, whose turn it is not" "$(cut -d , -f 5 "$dir/pump-2.truth" | tail -n 1)" 1
device 1 rollout.state | grep -qx "sending\|trial" || fail "on a full disk: $(device 1 rollout.state)"
room
recovers
wait_for 40 "version 3 on both pumps" serves 3

# killed while it is full: what was not written has not happened
before=$(lines)
full
launch "$dir/rollback.log" "$tools/honectl" --socket "$sock" rollback pump
order=$launched
sleep 1
crash
reap "$order"
room
start
expect_equal "version after the crash" "$(ctl_json rollouts | jq '.[0].number')" 3
ctl rollback pump >/dev/null
wait_for 40 "the version before on both pumps" serves 1
stop
for k in 1 2; do expect_equal "missed inferences of pump-$k" "$(tail -n 1 "$dir/pump-$k.truth" | cut -d , -f 6)" 0; done
