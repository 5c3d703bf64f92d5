#!/bin/sh
# honectl shows, steers and says why not, with the exit codes of its manual page.
# The answers are those of check_api --serve, so that every outcome can be had.
set -eu
build=$1 dir=$2
server=$build/tests/unit/check_api
if [ ! -x "$server" ]; then
	echo "check_api is not built"
	exit 77
fi
sock=$dir/api.sock
"$server" --serve "$sock" &
pid=$!
trap 'kill $pid 2>/dev/null || true' EXIT

fail() { echo "ctl: $*"; exit 1; }

# expect CODE TEXT ARGUMENT...: the exit code, and a text in what is printed
expect() {
	want=$1 text=$2 rc=0
	shift 2
	timeout 30 "$build/honectl" --socket "$sock" "$@" >"$dir/out" 2>&1 </dev/null || rc=$?
	[ "$rc" -eq "$want" ] || { cat "$dir/out"; fail "honectl $*: exit $rc, not $want"; }
	grep -qF -- "$text" "$dir/out" || { cat "$dir/out"; fail "honectl $*: no '$text'"; }
}

n=0
until "$build/honectl" --socket "$sock" status >/dev/null 2>&1; do
	n=$((n + 1))
	[ $n -lt 100 ] || fail "the server does not answer"
	sleep 0.1
done

expect 0 '2 models, 0 with an open drift episode' status
expect 0 'pump-state' models
expect 0 'dense 16, relu, dense 3' model pump-state
expect 3 "no model 'nope'" model nope
expect 2 'usage: honectl model NAME | export' model import
expect 2 'usage: honectl model NAME | export' model export pump-state
expect 2 "'abc' is no whole number for -n: 1 to 1000" events -n abc
expect 3 'no job' job 1
expect 0 'no job yet' jobs
expect 0 '979 parameters' retrain pump-state --dry-run --wait
expect 0 'promoted: v2, accuracy 94.0 %' retrain pump-state --wait --reason better
expect 0 'epoch        3/3' retrain pump-state --wait
expect 0 'undo: honectl rollback pump-state' retrain pump-state --wait
expect 5 'rejected' retrain pump-state --wait --reason 'reject me'
expect 1 'queued or running' retrain busy --wait
expect 0 'undo: honectl cancel 6' retrain pump-state
expect 0 'undo: honectl retrain pump-state' cancel 6
expect 1 'job 6 has ended' cancel 6
expect 0 'cancelled' job 6
expect 0 'goes back to version id 11' rollback pump-state --reason 'false alarms'
expect 1 'no earlier version' rollback busy
expect 0 '1 confirmed' rollouts
expect 0 '0011223344556677' devices
expect 0 'vibration' streams
expect 0 'link' sources
expect 0 'low margin' requests
expect 0 'job_started' events -n 2
expect 0 '"kind":"job_started"' events --after 3 --json
expect 0 'from 1970-01-01T00:00:01.000000Z to 1970-01-01T00:00:02.000000Z is worn' label vibration 1000000 2000000 worn
expect 0 'is 1.5' label vibration 2026-11-22T13:00:00Z 1.5 --who anna
expect 3 'no stream' label other 1 worn
expect 1 'RFC 3339' label vibration soon worn
expect 0 'honed_build_info{' metrics
expect 2 'takes no --wait' models --wait
expect 2 'usage: honectl label' label vibration 1
expect 2 "no command 'nope'" nope
expect 2 'no whole number' events -n 0
expect 4 'no such socket; is honed running?' status --socket "$dir/none.sock"
expect 4 'is honed running' status --url http://127.0.0.1:1

# JSON is the daemon's own, on standard output alone
for c in status models 'model pump-state' jobs 'job 1' devices rollouts streams sources requests events; do
	# shellcheck disable=SC2086 # a command with its argument
	"$build/honectl" --socket "$sock" --json $c 2>/dev/null | jq -e . >/dev/null || fail "$c --json is not JSON"
done
"$build/honectl" --socket "$sock" retrain pump-state --wait --json 2>/dev/null | jq -e '.outcome == "promoted"' >/dev/null ||
	fail "retrain --wait --json"

# -f goes on with what comes
HONED_SOCKET=$sock timeout 10 "$build/honectl" events -f -n 1 --json >"$dir/followed" &
follow=$!
n=0
until [ -s "$dir/followed" ]; do n=$((n + 1)); [ $n -lt 50 ] || fail "events -f shows nothing"; sleep 0.1; done
expect 0 'job' retrain pump-state --reason followed
n=0
until grep -q followed "$dir/followed"; do n=$((n + 1)); [ $n -lt 50 ] || fail "events -f"; sleep 0.1; done
kill $follow

# a key is made once
expect 0 'new master key' key new "$dir/key"
expect 1 'File exists' key new "$dir/key"
[ "$(stat -c %a "$dir/key")" = 600 ] || fail "mode of the key"
grep -qxE '[0-9a-f]{64}' "$dir/key" || fail "the key is not 64 hex digits"

# every command has help with an example, and stands in the manual page and the usage
"$build/honectl" --help >"$dir/usage"
for c in $("$build/honectl" --list-commands); do
	expect 0 'Example:' "$c" --help
	grep -qE "^\.(B|BI|BR|BI \")[ \"]*$c( |\"|$)" docs/honectl.1 || fail "$c is not in docs/honectl.1"
	grep -qE "^  $c +" "$dir/usage" || fail "$c is not in the usage"
done

kill $pid
wait $pid || fail "the server ended with $?"
expect 4 'is honed running' status
