#!/bin/sh
# Every kind of journal entry that the code writes is described in docs/events.md, and no other.
set -eu
dir=$2
find daemon -name '*.c' ! -path 'daemon/ctl/*' -exec cat {} + | tr '\n' ' ' |
	grep -oE '(\.kind = |note\(v, |enter\(m, )[^,;]*,' | grep -oE '"[a-z_]+"' | tr -d '"' | sort -u >"$dir/code"
# shellcheck disable=SC2016 # backquotes of markdown
sed -n 's/^| `\([a-z_]*\)` |.*/\1/p' docs/events.md | sort -u >"$dir/docs"
[ "$(wc -l <"$dir/code")" -ge 20 ] || { echo "events: the search finds too little"; exit 1; }
diff "$dir/code" "$dir/docs" || { echo "events: < only in the code, > only in docs/events.md"; exit 1; }
