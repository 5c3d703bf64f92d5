#!/bin/sh
# The checks of form fail when a fault is planted, each fault alone, and pass when it is gone.
set -eu
dir=$2
root=$(pwd)
tree=$dir/tree

# A tree of a few real files that both checks pass.
plant_none() {
	rm -rf "$tree"
	mkdir -p "$tree/lib/nn" "$tree/daemon/core" "$tree/daemon/api" "$tree/firmware/common" \
		"$tree/tests/unit"
	cp -R "$root/lib/base" "$root/lib/device" "$tree/lib/"
	printf '#include "hn_status.h"\n' >"$tree/lib/nn/f.c"
	printf '#include "hn_status.h"\nint f_core(void);\n' >"$tree/daemon/core/f_core.h"
	printf '#include "f_core.h"\n' >"$tree/daemon/api/f_api.c"
	printf '#include "hd_crc32c.h"\n' >"$tree/firmware/common/f_app.c"
	: >"$tree/tests/unit/f_test.c"
}

# caught CHECK WORD FILE: stdin is added to FILE, CHECK fails and says WORD and the name of FILE.
caught() {
	plant_none
	cat >>"$tree/$3"
	if "$root/scripts/$1" "$tree" >"$dir/said" 2>&1; then
		echo "$1 passes: $2 in $3"
		exit 1
	fi
	if ! grep -q "$3.*$2" "$dir/said"; then
		echo "$1 does not say $2:"
		cat "$dir/said"
		exit 1
	fi
	echo "$1 $2" >>"$dir/told"
}

# allowed CHECK FILE: stdin is added to FILE and CHECK still passes.
allowed() {
	plant_none
	cat >>"$tree/$2"
	"$root/scripts/$1" "$tree"
	echo "$1 $2" >>"$dir/told"
}

for check in layers banned; do
	allowed "$check" lib/base/hn_rng.c </dev/null
done

# --- layers
echo '#include "f_core.h"' | caught layers 'includes f_core.h of daemon/core' lib/base/hn_rng.c
echo '#include "hn_rng.h"' | caught layers 'includes hn_rng.h of lib/base' lib/device/hd_crc32c.c
echo '  #  include "hn_rng.h"' | caught layers 'includes hn_rng.h' firmware/common/f_app.c
echo '#include "nowhere.h"' | caught layers 'which is nowhere' daemon/api/f_api.c
echo '#include "../core/f_core.h"' | caught layers 'no folder in an include' daemon/api/f_api.c
echo '#include <time.h>' | caught layers '<time.h>' lib/nn/f.c
echo '#include <stdio.h>' | caught layers '<stdio.h>' lib/device/hd_crc32c.h
echo | caught layers 'a file of this name' lib/nn/hn_rng.h
echo '#include "hn_rng.h"' | allowed layers lib/nn/f.c
echo '#include <stdio.h>' | allowed layers daemon/core/f_core.h

# --- banned calls
for call in 'gets(p)' 'strcpy(a, b)' 'strcat (a, b)' 'sprintf(a, "x")' 'vsprintf(a, f, l)' 'strtok(a, b)' \
	'atoi(a)' 'atof(a)' 'alloca(9)' 'system(a)' 'popen(a, b)' 'sleep(1)' 'usleep(1)'; do
	echo "int f(void) { return $call; }" | caught banned "${call%%[ (]*}" tests/unit/f_test.c
done
echo 'int f(void) { /* one */ strcpy(a, b); /* two */ }' | caught banned strcpy tests/unit/f_test.c
echo 'int f(void) { g("\"", strcpy(a, "b")); }' | caught banned strcpy daemon/api/f_api.c
echo 'long f(void) { return time(NULL); }' | caught banned 'time' daemon/api/f_api.c
echo 'void *f(void) { return malloc(1); }' | caught banned malloc lib/nn/f.c
echo 'void f(void) { printf("x"); }' | caught banned printf lib/base/hn_rng.c
echo 'void *f(void) { return malloc(1); }' | allowed banned daemon/api/f_api.c
allowed banned lib/nn/f.c <<'END'
/* strcpy(a, b) in a comment
 * and system(a) in its second line, ' and " with it */
// atoi(a)
static const char *const text = "malloc(1) \" free(p)"; /* printf("x") */
int f(struct x *x) { return my_strcpy(1) + x->free(2) + x->y.system(3) + '"' + strcpyx(4); }
END

# --- too long
{ echo 'int f(void)'; echo '{'; yes '	g();' | head -n 61; echo '}'; } |
	caught banned 'function of 61 lines' lib/nn/f.c
{ echo 'int f(void)'; echo '{'; yes '	g();' | head -n 60; echo '}'; } | allowed banned lib/nn/f.c
yes '/* x */' | head -n 501 | caught banned 'more than 500 lines' tests/unit/f_test.c
yes '/* x */' | head -n 500 | allowed banned tests/unit/f_test.c
printf '/* %s */\n' "$(printf '%095d' 0)" | caught banned '101 characters' lib/device/hd_crc32c.h
printf '/* %s */\n' "$(printf '%094d' 0)" | allowed banned lib/device/hd_crc32c.h

# --- clang-tidy, where it is installed
if command -v clang-tidy >/dev/null; then
	plant_none
	cp "$root/.clang-tidy" "$tree/"
	echo 'int f(const int *p); int f(const int *p) { return p ? *p : 0; }' >"$tree/lib/nn/f.c"
	"$root/scripts/tidy" "$tree/lib/nn/f.c" -std=c11 >"$dir/said" 2>&1
	[ ! -s "$dir/said" ]
	echo 'int f(const int *p); int f(const int *p) { return p ? 0 : *p; }' >"$tree/lib/nn/f.c"
	if "$root/scripts/tidy" "$tree/lib/nn/f.c" -std=c11 >"$dir/said" 2>&1; then
		echo "tidy passes: a null pointer is read"
		exit 1
	fi
	grep -q NullDereference "$dir/said"
	echo "tidy null" >>"$dir/told"
fi
echo "$(wc -l <"$dir/told") faults and sound lines told apart"
