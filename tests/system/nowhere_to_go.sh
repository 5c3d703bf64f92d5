#!/bin/sh
# A missing directory, a file in the way or a port in use: one line says what and where, and honed ends or retries.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"

# refused CODE WHAT TEXT: honed with $conf ends with that code and one line that has the text
refused() {
	rc=0
	timeout 10 "$build/honed" --config "$conf" >"$dir/out" 2>&1 || rc=$?
	expect_equal "exit code: $2" $rc "$1"
	grep -v ' info ' "$dir/out" >"$dir/said" || true
	expect_equal "lines about it: $2" "$(wc -l <"$dir/said")" 1
	expect_text "$dir/said" "$3"
}

conf_line "unix:$run/in" >"$dir/good.yaml"
sed "s|path: $db|path: $dir/none/honed.db|" "$dir/good.yaml" >"$conf"
refused 73 "no directory for the database" "make its directory, or change store.path"
sed "s|socket: $sock|socket: $run/none/honed.sock|" "$dir/good.yaml" >"$conf"
refused 73 "no directory for the socket" "$run/none"
sed "s|socket: $sock|socket: $dir/good.yaml|" "$dir/good.yaml" >"$conf"
refused 75 "a file in the socket's place" "$dir/good.yaml"
[ -s "$dir/good.yaml" ] || fail "the file in the socket's place is gone"

# the port of the REST interface is taken by another honed
free_port
sed "s|socket: $sock|socket: $sock, port: $port|" "$dir/good.yaml" >"$conf"
start
expect_equal "answer over TCP" "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/livez")" 200
sed "s|socket: $sock|socket: $run/2.sock, port: $port|; s|path: $db|path: $dir/2.db|; s|unix:$run/in|unix:$run/in2|" \
	"$dir/good.yaml" >"$dir/2.yaml"
mv "$conf" "$dir/1.yaml"
cp "$dir/2.yaml" "$conf"
refused 75 "port in use" "$port"
grep -qiE 'in use' "$dir/said" || fail "it does not say that the port is in use"

# another one's socket is not taken away
sed "s|path: $db|path: $dir/3.db|; s|unix:$run/in|unix:$run/in3|" "$dir/good.yaml" >"$conf"
refused 75 "socket in use" "$sock"
ctl status >/dev/null || fail "the first one lost its socket"

# a source's port in use: it is retried, the rest works
sed "s|socket: $sock|socket: $run/4.sock|; s|path: $db|path: $dir/4.db|" "$dir/good.yaml" >"$conf"
first=$pid first_sock=$sock sock=$run/4.sock
start
wait_for 5 "word of the source that cannot listen" has "$log" "cannot listen on unix:$run/in"
expect_equal "state of the source" "$(ctl_json sources | jq -r '.[0].state')" waiting
second=$pid second_sock=$sock pid=$first sock=$first_sock
stop
pid=$second sock=$second_sock
listens() { [ "$(ctl_json sources | jq -r '.[0].state')" = up ]; }
wait_for 10 "second try of the source" listens
stop
