#!/bin/sh
# A program of forty lines trains a net from a CSV with the installed library.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
root=$(cd "$(dirname "$0")/../.." && pwd)
example=$root/docs/examples/train_csv.c
expect_equal "lines of the example beyond 45" "$(awk 'NR > 45' "$example" | wc -l)" 0
prefix=$(cd "$dir" && pwd)/usr
case $build in /*) ;; *) build=$(pwd)/$build ;; esac
make -C "$root" --no-print-directory FLAVOUR="$(basename "$build")" B="$build" prefix="$prefix" install-lib \
	>"$dir/install.log" 2>&1 || { cat "$dir/install.log"; fail "install-lib"; }
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
case $(basename "$build") in asan) extra=-fsanitize=address,undefined ;; tsan) extra=-fsanitize=thread ;; *) extra= ;; esac
# shellcheck disable=SC2046,SC2086 # lists of flags
cc -std=c11 -Wall -Wextra -Wno-missing-field-initializers -Werror $extra "$example" \
	$(pkg-config --cflags --libs hone) -o "$dir/train_csv" || fail "the example does not compile"

# two noisy rings and a spot: not to be told apart by a line
awk 'BEGIN { srand(5); for (i = 0; i < 3000; i++) { k = i % 3; a = 6.2831853 * rand(); r = k + 0.5 * rand()
	printf "%.4f,%.4f,%d\n", r * cos(a), r * sin(a), k } }' >"$dir/rings.csv"
"$dir/train_csv" "$dir/rings.csv" "dense 24, tanh, dense 3" >"$dir/out" || { cat "$dir/out"; fail "no training"; }
cat "$dir/out"
accuracy=$(sed -n 's/.*accuracy \([0-9]*\).*/\1/p' "$dir/out")
expect_at_least "held-back accuracy" "$accuracy" 90
"$dir/train_csv" "$dir/rings.csv" "dense 24, tahn, dense 3" 2>"$dir/err" && fail "a wrong layer is taken"
expect_text "$dir/err" tahn
