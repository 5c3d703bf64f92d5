#!/bin/sh
# The configuration in README.md is one that honed takes, and the pages that the pages link to are there.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
# octal 140 is the mark of a block of code
awk '/^\140\140\140$/ { on = 0 } on { print } /^\140\140\140yaml$/ { on = 1 }' README.md >"$dir/readme.yaml"
"$build/honed" --check "$dir/readme.yaml" >"$dir/check" || fail "honed --check of the README's configuration"
expect_text "$dir/check" "configuration OK: 2 sources, 2 streams, 1 models, 0 devices"

n=0
for page in README.md CONTRIBUTING.md docs/*.md docs/decisions/*.md; do
	grep -oE '\]\([^)#:]+\)' "$page" | sed 's/^](//; s/)$//' >"$dir/links" || true
	while read -r to; do
		[ -e "$(dirname "$page")/$to" ] || fail "$page links to $to, which is not there"
		n=$((n + 1))
	done <"$dir/links"
done
expect_at_least "links" "$n" 20
