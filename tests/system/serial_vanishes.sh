#!/bin/sh
# A serial line that is not there or vanishes is retried, said once, and goes on with its device when it is back.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
echo "$master" >"$dir/master.key"
record 240
conf_pump "$(bench_file)" | sed "s|port: \"unix:$run/pump-1\"|port: $run/tty|" >"$conf"
tty_sim() {
	sim 1 --link "pty:$run/tty"
}
sim 2
start
until_event 20 0 '.kind == "source_end"'
wait_for 5 "word of the missing line" has "$log" "$run/tty: No such file or directory"
wait_for 5 "pump-2" online 2
expect_equal "state of the missing line" "$(ctl_json sources | jq -r '.[1].state')" waiting
sleep 1
expect_equal "lines about it" "$(grep -c "$run/tty: No such file" "$log")" 1

# it comes
tty_sim
wait_for 10 "pump-1" online 1
ctl retrain pump --wait >"$dir/out" 2>&1 || { cat "$dir/out"; fail "no version"; }
wait_for 20 "version 1 on both pumps" serves 1
got=$(frames vib-1)

# it goes: unplugged
end KILL "$sim_1"
wait_for 5 "word of the line that is gone" has "$log" "event=source_down source=pump-1"
wait_for 10 "device offline" eval '! online 1'
expect_equal "the other one" "$(device 2 online)" true
wait_for 5 "frames of before" eval "[ \$(frames vib-1) -ge $got ]"
got=$(frames vib-1)

# and comes back, with another number of its terminal
tty_sim
wait_for 15 "pump-1 again" online 1
wait_for 5 "new frames" eval "[ \$(frames vib-1) -gt $((got + 400)) ]"
serves 1 || fail "version 1 is not in service any more"
expect_equal "rollouts" "$(sql 'SELECT count(*) FROM rollout')" 1
expect_equal "swaps" "$(count 0 '.kind == "swap_started"')" 2

# garbage in place of the device: counted, and the device is heard again after it
end KILL "$sim_1"
launch "$dir/noise.log" socat -u "EXEC:head -c 200000 /dev/urandom" "PTY,raw,echo=0,link=$run/tty,wait-slave"
noisy() { [ "$(ctl_json sources | jq '.[1].refused.crc // 0')" -gt 10 ]; }
wait_for 15 "count of refused frames" noisy
alive "$pid" || fail "honed is gone"
wait_for 5 "end of the noise" gone "$launched"
tty_sim
wait_for 15 "pump-1 after the noise" online 1
[ "$(wc -l <"$log")" -lt 200 ] || fail "too much log"
stop
