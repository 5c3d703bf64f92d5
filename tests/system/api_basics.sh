#!/bin/sh
# The REST interface answers on its unix socket: life, readiness, status, metrics, and what is not there.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
conf_line "unix:$run/in" >"$conf"
start

# get CODE TYPE PATH [CURL OPTION...]: status code and content type as expected; the body is in $dir/body
get() {
	code=$1 type=$2 path=$3
	shift 3
	got=$(curl -s --max-time 10 --unix-socket "$sock" -o "$dir/body" -w '%{http_code} %{content_type}' "$@" \
		"http://localhost$path")
	expect_equal "$path" "${got%%;*}" "$code $type"
}

json=application/json problem=application/problem+json
get 200 $json /livez
get 200 $json /readyz
get 200 $json /api/v1/status
jq -e '.version and .rss_bytes > 0 and .summary and (.models | length == 0)' "$dir/body" >/dev/null || fail "status"
get 200 text/plain /metrics
grep -q '^# TYPE honed_' "$dir/body" || fail "no metric"
get 200 $json /api/v1/routes
jq -e 'length > 10 and all(.[]; .method and .path and .help)' "$dir/body" >/dev/null || fail "routes"
for list in models jobs devices rollouts sources events labels/requests; do
	get 200 $json "/api/v1/$list"
	jq -e 'type == "array"' "$dir/body" >/dev/null || fail "$list is no list"
done

# what is not possible says why, as RFC 9457 has it
get 404 $problem /api/v1/nothing
jq -e '.status == 404 and .title and .detail' "$dir/body" >/dev/null || fail "problem details"
get 404 $problem /api/v1/models/none
get 404 $problem /api/v1/jobs/1
get 404 $problem /
get 405 $problem /api/v1/status -X DELETE
get 405 $problem /api/v1/models/none/retrain
get 404 $problem /api/v1/models/none/retrain -X POST -H 'Content-Type: application/json' -d '{}'
get 400 $problem /api/v1/labels -X POST -H 'Content-Type: application/json' -d '{"stream":'
curl -s --unix-socket "$sock" -X DELETE -D - -o "$dir/body" http://localhost/api/v1/status | grep -qi '^allow: *GET' ||
	fail "405 without Allow"
stop
