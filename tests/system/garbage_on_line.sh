#!/bin/sh
# Garbage, half lines and a line of 1 MB on every kind of line socket: counted, logged at a bounded rate, never fatal.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
free_port
conf_head >"$conf"
cat >>"$conf" <<YAML
sources:
  - {name: tcp, type: line, listen: "tcp://127.0.0.1:$port", precision: us}
  - {name: udp, type: line, listen: "udp://127.0.0.1:$port", precision: us}
  - {name: unix, type: line, listen: "unix:$run/in", precision: us}
streams:
  - {name: t-tcp, source: tcp, channels: [a]}
  - {name: t-udp, source: udp, channels: [a]}
  - {name: t-unix, source: unix, channels: [a]}
YAML
start
seed=4711
echo "seed $seed"
awk -v seed=$seed 'BEGIN { srand(seed); for (i = 0; i < 300000; i++) printf "%02x", int(rand() * 256) }' |
	unhex >"$dir/noise"                      # 300 kB of any bytes
awk 'BEGIN { for (i = 0; i < 65536; i++) printf "t a=11111111111" }' >"$dir/long"   # 1 MB, no newline
for i in $(seq 2000); do echo "bad line $i,, = ,"; done >"$dir/bad"

to() { # source, options of socat
	case $1 in
	tcp) socat -u - "TCP:127.0.0.1:$port" ;;
	unix) socat -u - "UNIX-CONNECT:$run/in" ;;
	udp) socat -u -b 1400 - "UDP:127.0.0.1:$port" ;;
	esac
}
# source N FIELD
source_field() { ctl_json sources | jq -r ".[] | select(.name == \"$1\") | $2"; }
refused() { [ "$(source_field "$1" '[.refused[]] | add // 0')" -ge "$2" ]; }
stored() { [ "$(frames "t-$1")" -ge "$2" ]; }

for s in tcp unix udp; do
	to $s <"$dir/noise"
	to $s <"$dir/long"
	to $s <"$dir/bad"
	printf 't-%s a=1 1000\nt-%s a=2' $s $s | to $s           # the second one may have lost digits
	printf 't-%s a=3 3000\n' $s | to $s
	wait_for 10 "frames of $s beside the garbage" stored $s 2
	wait_for 10 "counters of $s" refused $s 500
	alive "$pid" || fail "honed is gone"
done
for s in tcp unix; do
	expect_equal "frames of $s" "$(frames t-$s)" 2
	for why in format too_long half; do
		expect_at_least "lines of $s refused as $why" "$(source_field $s ".refused.$why // 0")" 1
	done
done
# a datagram is whole: its last line needs no newline
expect_equal "frames of udp" "$(frames t-udp)" 3
refused=$(ctl metrics | awk '/^honed_source_refused_total/ { n += $NF } END { printf "%d\n", n }')
expect_at_least "refused lines in the metrics" "$refused" 4000
lines=$(wc -l <"$log")
[ "$lines" -lt 100 ] || fail "$lines lines of log for $refused refused ones"
# nothing of a line reaches the log unquoted
[ "$(tr -d '\n\t -~' <"$log" | wc -c)" -eq 0 ] || fail "raw bytes in the log"
# a connection that never ends its line does not keep others out
launch "$dir/hang.log" sh -c "printf 't-tcp a=' | cat - /dev/zero | head -c 100000 | socat -t 30 - TCP:127.0.0.1:$port"
printf 't-tcp a=4 4000\n' | to tcp
wait_for 5 "frame beside a connection that hangs" stored tcp 3
stop
