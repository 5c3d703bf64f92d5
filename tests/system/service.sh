#!/bin/sh
# The systemd files are accepted without a word, and the unit is exposed as little as is promised.
set -eu
dir=$2
if ! command -v systemd-analyze >/dev/null 2>&1; then
	echo "systemd-analyze is not installed"
	exit 77
fi
fail() { echo "service: $*"; exit 1; }
root=$dir/root
trap 'rm -rf "$root"' EXIT       # no file of it may be taken for one of the build's

mkdir -p "$root/usr/lib/systemd/system" "$root/usr/sbin" "$root/bin" "$root/etc/honed" \
	"$root/usr/lib/sysusers.d" "$root/usr/lib/tmpfiles.d"
cp /bin/true "$root/usr/sbin/honed"
cp /bin/true "$root/bin/sh"
cp /lib/systemd/system/*.target /lib/systemd/system/*.slice "$root/usr/lib/systemd/system/"
cp systemd/honed.service "$root/usr/lib/systemd/system/"
cp systemd/honed.sysusers "$root/usr/lib/sysusers.d/honed.conf"
cp systemd/honed.tmpfiles "$root/usr/lib/tmpfiles.d/honed.conf"

systemd-analyze verify --root="$root" --man=no honed.service >"$dir/verify" 2>&1 || true
[ ! -s "$dir/verify" ] || { cat "$dir/verify"; fail "systemd-analyze verify is not silent"; }
systemd-analyze security --offline=true --threshold=15 --no-pager systemd/honed.service >"$dir/security" 2>&1 ||
	{ tail -n 3 "$dir/security"; fail "exposed by more than 1.5"; }

# the user comes to be, and the key is readable by its group alone
if [ "$(id -u)" -eq 0 ]; then
	systemd-sysusers --root="$root" >/dev/null 2>&1 || fail "systemd-sysusers"
	grep -q '^honed:' "$root/etc/passwd" || fail "no user honed"
	grep -q '^dialout:.*:honed$' "$root/etc/group" || fail "honed is not in dialout"
	echo key >"$root/etc/honed/master.key"
	systemd-tmpfiles --root="$root" --create >"$dir/tmpfiles" 2>&1 || { cat "$dir/tmpfiles"; fail "systemd-tmpfiles"; }
	[ "$(stat -c %a "$root/etc/honed/master.key")" = 640 ] || fail "mode of the key"
	[ "$(stat -c %a "$root/var/lib/honed")" = 750 ] || fail "mode of the state directory"
fi
