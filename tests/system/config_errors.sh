#!/bin/sh
# A bad configuration is refused with every error at its place; a reload of one keeps the old one running.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
bad=$dir/bad.yaml
cat >"$bad" <<YAML
store:
  path: $db
  commit_evry: 1s
  retain: 30
status: {socket: $sock}
log: {level: loud}
sources:
  - {name: in, type: lime}
streams:
  - {name: t, source: on, channels: [a]}
YAML
for option in --check --config; do
	rc=0
	timeout 10 "$build/honed" $option "$bad" >"$dir/errors" 2>&1 || rc=$?
	expect_equal "exit code of honed $option" $rc 78
	for place in 3:3 4:11 6:14; do expect_text "$dir/errors" "$bad:$place: error: "; done
	expect_text "$dir/errors" commit_every           # did you mean
	expect_text "$dir/errors" "  commit_evry: 1s"    # the line
	expect_text "$dir/errors" lime
	expect_at_least "carets" "$(grep -c '^ *[|0-9 ]*\^' "$dir/errors")" 3
	expect_at_least "errors" "$(grep -c ': error: ' "$dir/errors")" 4
done
[ ! -e "$db" ] || fail "a database was made"

# tasks that cannot be trained yet, and an autoencoder that cannot be compared with its input
model() {
	conf_line "unix:$run/in"
	echo "models:"
	echo "  - {name: m, streams: [t], window: 4, task: $1, network: \"$2\"}"
}
for case in "regress|dense 1|cannot train regress yet" "forecast|dense 2|cannot train forecast yet" \
	"autoencode|dense 3, relu, dense 7|autoencode needs 8 outputs" "autoencode|dense 8, tanh|grid of its own"; do
	rest=${case#*|}
	model "${case%%|*}" "${rest%%|*}" >"$dir/task.yaml"
	rc=0
	"$build/honed" --check "$dir/task.yaml" >"$dir/errors" 2>&1 || rc=$?
	expect_equal "exit code of $case" $rc 78
	expect_text "$dir/errors" "${case##*|}"
done
model autoencode "dense 3, relu, dense 8" >"$dir/task.yaml"
"$build/honed" --check "$dir/task.yaml" >"$dir/check" || { cat "$dir/check"; fail "--check of an autoencoder"; }

# a reload of it: refused, and the old one stays
conf_line "unix:$run/in" >"$conf"
"$build/honed" --check "$conf" >"$dir/check" || fail "--check of a good file"
expect_text "$dir/check" "configuration OK: 1 sources, 1 streams"
start
cp "$conf" "$dir/good.yaml"
cp "$bad" "$conf"
kill -HUP "$pid"
wait_for 5 "refusal of the reload" has "$log" "the running configuration stays"
expect_text "$log" "$conf:3:3: error: "
ctl status >/dev/null

# a setting that can change: applied, and named
sed '1i log: {level: debug}' "$dir/good.yaml" >"$conf"
kill -HUP "$pid"
wait_for 5 "reload" has "$log" "event=reload result=applied"
grep 'result=applied' "$log" | grep -qF log.level || fail "the reload does not name what changed"

# one that cannot while it runs: refused, named, and nothing is changed by half
sed 's/level: debug/level: error/; s/^store: {path: [^,]*/&-other/' "$conf" >"$dir/other.yaml"
cp "$dir/other.yaml" "$conf"
kill -HUP "$pid"
wait_for 5 "refusal of what needs a restart" has "$log" "need a restart"
grep 'need a restart' "$log" | grep -qF store.path || fail "the refusal does not name what needs a restart"
stop
has "$log" event=stopped || fail "half of the refused configuration was applied: the log level"
