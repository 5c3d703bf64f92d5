#!/bin/sh
# lib_honed.sh - what the system tests share; source it first: . "$(dirname "$0")/lib_honed.sh"
# Every process is started by a function of this file, and ended by its id when the test ends.
set -eu
build=$1 dir=$2
run=$(mktemp -d "${TMPDIR:-/tmp}/honed.XXXXXX")  # of sockets: their paths must be short
test=$(basename "$0" .sh)
pids="" pid="" starts=0
sock=$run/honed.sock db=$dir/honed.db log=$dir/honed.log conf=$dir/honed.yaml
master=$(printf '%064d' 7)

cleanup() {
	code=$?
	trap - EXIT INT TERM
	for p in $pids; do kill -CONT "$p" 2>/dev/null || true; kill -KILL "$p" 2>/dev/null || true; done
	wait
	rm -rf "$run"
	exit $code
}
trap cleanup EXIT
trap 'exit 130' INT TERM

fail() {
	echo "$test: $*"
	[ ! -e "$log" ] || { echo "--- the end of honed's log"; tail -n 20 "$log"; }
	exit 1
}

skip() { echo "$*"; exit 77; }

# wait_for SECONDS WHAT COMMAND...: until the command succeeds
wait_for() {
	wait_n=$(($1 * 20)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		wait_n=$((wait_n - 1))
		[ $wait_n -gt 0 ] || fail "no $what in time"
		sleep 0.05
	done
}

# has FILE TEXT
has() { grep -qF -- "$2" "$1"; }
expect_text() { has "$1" "$2" || { cat "$1"; fail "no '$2' in $(basename "$1")"; }; }
expect_equal() { [ "$2" = "$3" ] || fail "$1: '$2', not '$3'"; }
expect_at_least() { [ "$2" -ge "$3" ] || fail "$1: $2, not at least $3"; }

# --- processes ---------------------------------------------------------------------------------------

alive() { kill -0 "$1" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
gone() { ! alive "$1"; }

forget() { # pid
	rest=""
	for p in $pids; do [ "$p" = "$1" ] || rest="$rest $p"; done
	pids=$rest
}

# launch LOG COMMAND...: in the background; its id is in $launched
launch() {
	to=$1
	shift
	"$@" >>"$to" 2>&1 </dev/null &
	launched=$!
	pids="$pids $launched"
}

# end SIGNAL PID: its exit code is in $ended
end() {
	kill -"$1" "$2"
	reap "$2"
}
reap() {
	ended=0
	wait "$1" 2>/dev/null || ended=$?
	forget "$1"
}

# free_port: a TCP port of the loopback that nobody listens on; in $port
port=$((20000 + $$ % 20000))
free_port() {
	while :; do
		port=$((port + 1)) code=0
		curl -s --max-time 1 "http://127.0.0.1:$port/" >/dev/null 2>&1 || code=$?
		[ $code -ne 7 ] || return 0
	done
}

ctl() { timeout 60 "$build/honectl" --socket "$sock" "$@"; }
ctl_json() { ctl --json "$@"; }

answers() { gone "$pid" || ctl status; }

# start: honed with $conf, until it answers
start() {
	starts=$((starts + 1))
	launch "$log" "$build/honed" --config "$conf"
	pid=$launched
	wait_for 10 "answer of honed" answers
	alive "$pid" || { reap "$pid"; fail "honed ended at once with $ended"; }
}

# stop: as an operator does; everything is committed, within five seconds
stop() {
	begin=$(date +%s%N)
	end TERM "$pid"
	took_ms=$((($(date +%s%N) - begin) / 1000000))
	expect_equal "exit code of honed after SIGTERM" "$ended" 0
	[ $took_ms -lt 5000 ] || fail "honed took $took_ms ms to stop"
	pid=""
}

# crash: no chance to do anything
crash() {
	end KILL "$pid"
	expect_equal "exit code of honed after SIGKILL" "$ended" 137
	pid=""
}

# children PID: ids of its child processes
children() { cat "/proc/$1/task/$1/children" 2>/dev/null; }
trainer_runs() {
	trainer=""
	for c in $(children "$pid"); do
		[ "$(cat "/proc/$c/comm" 2>/dev/null)" != hone-train ] || trainer=$c
	done
	[ -n "$trainer" ]
}

# --- what honed knows ------------------------------------------------------------------------------------

# sql TEXT: of the database, read only
sql() { sqlite3 -readonly -cmd '.timeout 5000' "$db" "$1"; }

# frames STREAM: how many are in the database
frames() {
	sql "SELECT coalesce(sum(n), 0) FROM (SELECT n, stream FROM hot UNION ALL SELECT n, stream FROM chunk)
	     WHERE stream = (SELECT id FROM stream WHERE name = '$1')"
}

# newest: id of the newest journal entry
newest() { ctl_json events -n 1 | jq -r '.[-1].id // 0'; }

# events AFTER FILTER: one JSON line for each entry after that id for which the jq filter holds
events() { ctl_json events --after "$1" | jq -c ".[] | select($2)"; }

# count AFTER FILTER
count() { events "$1" "$2" | wc -l; }
happened() { [ -n "$(events "$1" "$2")" ]; }

# until_event SECONDS AFTER FILTER: waits for such an entry; its JSON is in $event
export event=""
until_event() {
	wait_for "$1" "event with $3" happened "$2" "$3"
	event=$(events "$2" "$3" | head -n 1)
}

# counter TEXT: value of the line of /metrics that begins with it, 0 without one
counter() {
	ctl metrics | awk -v name="$1" 'index($0, name) == 1 { v = $NF } END { printf "%d\n", v }'
}

# --- configuration -----------------------------------------------------------------------------------------

conf_head() {
	cat <<YAML
store: {path: $db, commit_every: 100ms}
status: {socket: $sock}
train: {helper: ${helper:-$build/hone-train}}
keys: {master: $dir/master.key}
YAML
}

# conf_line LISTEN: one stream `t` of two channels, fed by lines
conf_line() {
	conf_head
	cat <<YAML
sources:
  - {name: in, type: line, listen: "$1", precision: us}
streams:
  - name: t
    source: in
    channels: [{name: a, min: -100, max: 100}, b]
YAML
}

# conf_channels: the pump's
conf_channels() {
	for axis in ax ay az; do
		echo "      - {name: $axis, unit: g, scale: 0.000244140625, min: -8, max: 8}"
	done
}

model_more='    policy: {mode: manual}
    rollout: {trial_inferences: 10, probation: 0s}'

# conf_pump BENCH_SOURCE: commissioning data, two simulated pumps, one model; more settings of the model
# from $model_more, lines of which begin with four spaces
conf_pump() {
	conf_head
	cat <<YAML
sources:
  - $1
  - {name: pump-1, type: link, port: "unix:$run/pump-1"}
  - {name: pump-2, type: link, port: "unix:$run/pump-2"}
streams:
YAML
	for s in bench:bench vib-1:pump-1 vib-2:pump-2; do
		printf '  - name: %s\n    source: %s\n    period: 2.5ms\n    channels:\n' "${s%:*}" "${s#*:}"
		conf_channels
	done
	cat <<YAML
models:
  - name: pump
    streams: [bench]
    task: classify
    classes: [off, normal, cavitation, bearing]
    window: 32
    network: "dense 32, relu, dense 16, relu, dense 4"
$model_more
devices:
  - {name: pump-1, uid: "00000000000000a1", source: pump-1, stream: vib-1, model: pump}
  - {name: pump-2, uid: "00000000000000a2", source: pump-2, stream: vib-2, model: pump}
YAML
}

bench_file() { # the commissioning data as a source
	echo "{name: bench, type: file, path: $dir/bench.csv, time: time_us, time_unit: us, pace: fast," \
		"label: state, labels: all, label_delay: 1h}"
}

# record WINDOWS: commissioning data, an hour old, one label a window
record() {
	"$build/hone-sim" --record $(($1 * 32)) "$dir/frames.csv" --seed 7 --record-from \
		$((($(date +%s) - 3600) * 1000000)) >"$dir/record.log" 2>&1 || fail "hone-sim --record"
	awk -F, -v OFS=, 'NR > 1 { $2 /= 4096; $3 /= 4096; $4 /= 4096; if ((NR - 1) % 32) $5 = "" } { print }' \
		"$dir/frames.csv" >"$dir/bench.csv"
}

# --- simulated devices -----------------------------------------------------------------------------------------

# unhex: hexadecimal digits on stdin become bytes
unhex() {
	printf '%b' "$(awk 'BEGIN { d = "0123456789abcdef" } { for (i = 1; i < length($0); i += 2)
		printf "\\0%03o", 16 * index(d, substr($0, i, 1)) + index(d, substr($0, i + 1, 1)) - 17 }')"
}

# hmac KEY MESSAGE: HMAC-SHA-256 in hexadecimal digits; a key of 32 bytes.  Source: RFC 2104
hmac() {
	pads=$(echo "$1" | awk 'function xor(a, b,   r, bit) {
			r = 0
			for (bit = 1; bit < 16; bit *= 2) r += bit * ((int(a / bit) + int(b / bit)) % 2)
			return r }
		BEGIN { d = "0123456789abcdef" }
		{ for (i = 1; i <= 128; i++) {
			k = i <= length($0) ? index(d, substr($0, i, 1)) - 1 : 0
			inner = inner substr(d, xor(k, i % 2 ? 3 : 6) + 1, 1)
			outer = outer substr(d, xor(k, i % 2 ? 5 : 12) + 1, 1) }
		  print inner, outer }')
	inner=$(echo "${pads% *}$2" | unhex | sha256sum)
	echo "${pads#* }${inner%% *}" | unhex | sha256sum | cut -d ' ' -f 1
}

# device_key UID: the key that honed derives from the master key: HMAC(master, "honed device" uid)
device_key() { hmac "$master" "686f6e656420646576696365$1"; }

# sim N [OPTION...]: pump N, 1 or 2, behind a unix socket; its id is in $sim_1 or $sim_2
export sim_1="" sim_2=""
sim() {
	n=$1
	shift
	[ -e "$dir/pump-$n.key" ] || device_key "00000000000000a$n" >"$dir/pump-$n.key"
	launch "$dir/sim-$n.log" "$build/hone-sim" --link "unix:$run/pump-$n" --flash "$dir/pump-$n.flash" \
		--uid "00000000000000a$n" --key-file "$dir/pump-$n.key" --seed "$n" --truth "$dir/pump-$n.truth" "$@"
	[ "$n" = 1 ] && sim_1=$launched || sim_2=$launched
}

# device N FIELD: what honed says of pump N
device() { ctl_json devices | jq -r ".[] | select(.name == \"pump-$1\") | .$2"; }
online() { [ "$(device "$1" online)" = true ]; }

# serves NUMBER: both pumps run that version of the model, with one digest, and the rollout is done
serves() {
	ctl_json devices | jq -e "[.[] | .active_model] == [$1, $1] and .[0].digest == .[1].digest and
		.[0].digest != \"0000000000000000\"" >/dev/null &&
		ctl_json rollouts | jq -e '.[0].state == "done"' >/dev/null
}

# commission: labelled data, two pumps, honed; no version yet
commission() {
	echo "$master" >"$dir/master.key"
	record 240
	sim 1
	sim 2
	conf_pump "$(bench_file)" >"$conf"
	start
	until_event 20 0 '.kind == "source_end"'
}

# first_version: commissioning data, two pumps, honed; version 1 on both
first_version() {
	commission
	ctl retrain pump --wait --reason "first version" >"$dir/retrain.out" 2>&1 ||
		{ cat "$dir/retrain.out"; fail "no first version"; }
	wait_for 30 "version 1 on both pumps" serves 1
}

# --- a trainer that takes its time -----------------------------------------------------------------------------

# slow_trainer: jobs train for hours while the file $dir/slow exists; to be called before the configuration
# is written.  The process stays honed's own child.
slow_trainer() {
	helper=$dir/trainer
	cat >"$helper" <<SH
#!/bin/sh
if [ -e "$dir/slow" ]; then
	sed 's/"epochs":[0-9]*/"epochs":10000000/' >"$dir/job.json"
	exec "$build/hone-train" <"$dir/job.json"
fi
exec "$build/hone-train"
SH
	chmod +x "$helper"
	touch "$dir/slow"
}
