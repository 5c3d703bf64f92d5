#!/bin/sh
# The service as installed, under a real systemd that boots in a container: it is started, notifies, is reloaded, stopped,
# killed and hung, trains, swaps the weights of devices, and reaches no more than honed(8) says.
#
# HONED_ROOT is a directory with a Debian 12 that has systemd and the libraries of honed; it is copied, not changed:
#   debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,libuv1,libyaml-0-2,libmicrohttpd12,libjansson4,\
#   libsodium23,libsqlite3-0,libcurl4 bookworm DIRECTORY
#   make system-boot HONED_ROOT=DIRECTORY
# Needs root, systemd-nspawn (Debian: systemd-container), jq and sqlite3; ip for the packet filter.
# Two of these cannot run at once.
set -eu
build=$1 dir=$2
skip() { echo "$*"; exit 77; }
[ -n "${HONED_ROOT:-}" ] || skip "HONED_ROOT is not set: no system to boot; the head of this test says how to make one"
[ "$(id -u)" -eq 0 ] || skip "only root can boot a container"
for c in systemd-nspawn nsenter jq pgrep sqlite3; do command -v $c >/dev/null 2>&1 || skip "$c is not installed"; done
[ -x "$HONED_ROOT/lib/systemd/systemd" ] || skip "$HONED_ROOT has no systemd"

work=$(mktemp -d "${TMPDIR:-/tmp}/honed-boot.XXXXXX")    # not below build/: make would look into it
root=$work/root nspawn="" leader=""
fail() { echo "systemd_boot: $*"; in_root journalctl -u honed --no-pager -n 40 2>/dev/null || true; exit 1; }
say() { echo "$(date +%T) $*"; }
in_root() { # a command inside the booted container
	[ -n "$leader" ] || return 1
	nsenter -t "$leader" -m -u -i -n -p -r -w env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root "$@" </dev/null
}
until_true() { # SECONDS COMMAND...: the command succeeds in time
	tries=$(($1 * 10))
	shift
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.1
	done
}
gone() { ! kill -0 "$1" 2>/dev/null; }
cleanup() {
	if [ -n "$nspawn" ]; then
		kill "$nspawn" 2>/dev/null || true               # asks its systemd to power off
		until_true 15 gone "$nspawn" || kill -9 "$nspawn" 2>/dev/null || true
		wait "$nspawn" 2>/dev/null || true
	fi
	rm -rf --one-file-system "$work"
	# without a systemd outside, nobody else removes the container's empty groups
	[ -d /run/systemd/system ] || find /sys/fs/cgroup -depth -type d \( -path '*/payload*' -o -name supervisor \) \
		-exec rmdir {} + 2>/dev/null || true
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# --- install --------------------------------------------------------------------------------------
cp -a "$HONED_ROOT" "$root"
make --no-print-directory B="$build" DESTDIR="$root" install >"$dir/install" 2>&1 || { cat "$dir/install"; fail "make install"; }
cp "$build/hone-sim" "$root/usr/bin/"
for p in /usr/sbin/honed /usr/bin/honectl /usr/libexec/honed/hone-train; do
	! LC_ALL=C chroot "$root" ldd $p 2>&1 | grep "not found" || skip "$HONED_ROOT lacks a library of $p"
done

# --- boot -----------------------------------------------------------------------------------------
keep=--keep-unit
[ ! -d /run/systemd/system ] || keep=""          # without a systemd outside there is no unit to make
# shellcheck disable=SC2086 # nothing or one word
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn -q --register=no $keep -D "$root" --private-network \
	--capability=CAP_BPF --system-call-filter=bpf --console=pipe -b >"$dir/boot" 2>&1 </dev/null &
nspawn=$!
has_leader() { leader=$(pgrep -P "$nspawn" | head -n 1) && [ -n "$leader" ]; }
booted() { # degraded: something else of that system does not start here
	case $(in_root systemctl is-system-running 2>/dev/null) in running|degraded) return 0 ;; *) return 1 ;; esac
}
until_true 10 has_leader || skip "systemd-nspawn does not start here: $(tail -n 1 "$dir/boot")"
until_true 60 booted || skip "systemd does not boot in a container here: $(tail -n 1 "$dir/boot")"
say "booted"

prop() { in_root systemctl show -p "$1" --value honed; }
active() { [ "$(prop ActiveState)/$(prop SubState)" = active/running ]; }
main_pid() { prop MainPID; }
ctl() { in_root runuser -u anna -- honectl "$@"; }
in_log() { in_root journalctl -u honed --no-pager -o cat | grep -qF -- "$1"; }
logged() { until_true 5 in_log "$1" || fail "not in the journal: $1"; }
config() { # text of models and devices
	cat >"$root/etc/honed/honed.yaml.new" <<YAML
store: {commit_every: 200ms}
sources:
  - {name: feed, type: line, listen: "unix:/run/honed/lines.sock"}
$1
YAML
	mv "$root/etc/honed/honed.yaml.new" "$root/etc/honed/honed.yaml"
}

# --- what is installed: verified, users and directories ----------------------------------------------
in_root systemd-sysusers 2>"$dir/sysusers" || { cat "$dir/sysusers"; fail "systemd-sysusers"; }
in_root systemctl daemon-reload
man=no
[ ! -x "$root/usr/bin/man" ] || man=yes
in_root systemd-analyze verify --man=$man honed.service >"$dir/verify" 2>&1 || { cat "$dir/verify"; fail "systemd-analyze verify"; }
[ ! -s "$dir/verify" ] || { cat "$dir/verify"; fail "systemd-analyze verify is not silent"; }
in_root systemd-analyze security --threshold=15 --no-pager honed >"$dir/security" 2>&1 || fail "exposed by more than 1.5"
tail -n 1 "$dir/security"
in_root useradd -G honed anna
in_root useradd otto

# --- the sample as it is installed -----------------------------------------------------------------------
in_root cp /usr/share/honed/honed.yaml /etc/honed/honed.yaml
in_root systemctl enable -q --now honed || fail "the sample configuration does not start"
active || fail "not active with the sample configuration"
in_root systemctl stop honed || fail "systemctl stop"
in_root rm /etc/honed/honed.yaml

# --- errors of configuration: told, exit 78, no restart -----------------------------------------------
refused() { # what the journal says
	! in_root systemctl start honed 2>/dev/null || fail "started with a bad configuration"
	[ "$(prop ExecMainStatus)" = 78 ] || fail "exit $(prop ExecMainStatus) instead of 78: $1"
	logged "$1"
}
refused "/etc/honed/honed.yaml"
config "streams: [{name: wave, source: feed, periods: 10ms, channels: [ax]}]"
refused "did you mean 'period'"
dense='classes: [low, high], window: 32, network: "dense 8, relu, dense 2"'
wide='window: 32, classes: [low, high], network: "dense 64, relu, dense 64, relu, dense 2"'
good() { # epochs of model m, name of that setting
	echo "  - {name: board-1, type: link, port: /run/boards/board-1}
  - {name: board-2, type: link, port: \"unix:/run/boards/board-2.sock\"}
streams:
  - {name: wave, source: feed, period: 10ms, channels: [ax, ay, az]}
  - {name: vib-1, source: board-1, period: 2.5ms, channels: [ax, ay, az]}
  - {name: vib-2, source: board-2, period: 2.5ms, channels: [ax, ay, az]}
models:
  - {name: m, streams: [wave], $dense, policy: {mode: manual}, train: {$2: $1},
     rollout: {canary: 1, trial_inferences: 10, probation: 0s}}
  - {name: long, streams: [wave], $wide, policy: {mode: manual}, train: {epochs: 10000, patience: 0}}
devices:
  - {name: pump-1, uid: \"0000000000000001\", source: board-1, stream: vib-1, model: m}
  - {name: pump-2, uid: \"0000000000000002\", source: board-2, stream: vib-2, model: m}"
}
config "$(good 60 epochs)"
refused "make one with \`honectl key new /etc/honed/master.key\`"
in_root honectl key new /etc/honed/master.key >/dev/null
refused "the user of honed must be able to read it"
sleep 3                                  # longer than RestartSec
[ "$(prop ActiveState)/$(prop NRestarts)" = failed/0 ] || fail "restarted after an error of configuration"
in_root systemd-tmpfiles --create || fail "systemd-tmpfiles"
[ "$(in_root stat -c '%U %G %a' /etc/honed/master.key)" = "root honed 640" ] || fail "owner and mode of the key"
say "errors of configuration are told, and not restarted"

# --- two devices: behind a pseudo terminal and behind a unix socket -------------------------------------
board() { # number, link
	uid=000000000000000$1
	in_root honectl key device /etc/honed/master.key "$uid" >"$root/root/$1.key" || fail "honectl key device"
	in_root systemd-run -q --unit="board-$1" -p Group=honed -p UMask=0007 -- /usr/bin/hone-sim --link "$2" \
		--flash "/root/$1.flash" --uid "$uid" --key-file "/root/$1.key" || fail "hone-sim"
}
in_root mkdir -p /run/boards
board 1 pty:/run/boards/board-1
board 2 unix:/run/boards/board-2.sock
until_true 5 in_root test -e /run/boards/board-1 || fail "no pseudo terminal"
pts=$(in_root readlink -f /run/boards/board-1)
in_root chgrp dialout "$pts"
in_root chmod 660 "$pts"

# --- start --------------------------------------------------------------------------------------------
in_root systemctl start honed || fail "systemctl start"
active || fail "not active after the start"
in_root systemctl status honed --no-pager >"$dir/status" || fail "systemctl status"
grep -q 'Status: "running"' "$dir/status" || fail "no status text"
for p in 5:event=ready 6:event=source_up 3:event=start_failed "3:/etc/honed/honed.yaml:4:38: error"; do
	in_root journalctl -u honed --no-pager -o json | jq -es --arg p "${p%%:*}" --arg m "${p#*:}" \
		'[.[] | select(.MESSAGE | type == "string" and startswith($m))] | length > 0 and all(.PRIORITY == $p)' \
		>/dev/null || fail "the journal's lines of ${p#*:} do not have priority ${p%%:*}"
done
[ "$(in_root stat -c '%U %G %a' /run/honed/honed.sock)" = "honed honed 660" ] || fail "owner and mode of the socket"
[ "$(in_root stat -c '%U %a' /var/lib/honed)" = "honed 750" ] || fail "owner and mode of the state directory"
[ "$(in_root stat -c '%U' /var/lib/honed/honed.db)" = honed ] || fail "owner of the database"
ctl status >"$dir/out" || fail "a member of the group cannot use the socket"
rc=0
in_root runuser -u otto -- honectl status >"$dir/out" 2>&1 || rc=$?
[ $rc -eq 4 ] || fail "who is not a member of the group: exit $rc instead of 4"
say "started and ready"

# --- frames and labels of a member of the group, training in the sandbox ----------------------------------
base=$(($(date +%s) - 3600))
awk -v base="$base" 'BEGIN { for (i = 0; i < 3072; i++) { k = int(i / 128) % 2 ? 2 : 0.2
	printf "wave ax=%.3f,ay=%.3f,az=1 %d%02d0000000\n", k * sin(i), k * cos(i), base + int(i / 100), (i % 100) } }' \
	>"$root/root/lines"
chmod 755 "$root/root"
# shellcheck disable=SC2016 # variables of perl
in_root runuser -u anna -- perl -MIO::Socket::UNIX -e '
	my $s = IO::Socket::UNIX->new(Peer => "/run/honed/lines.sock") or die "lines.sock: $!\n";
	open(my $f, "<", "/root/lines") or die; print $s $_ while <$f>; close($s) or die;' || fail "a member of the group cannot send lines"
frames() {
	sqlite3 -readonly "$root/var/lib/honed/honed.db" ".timeout 2000" "SELECT coalesce(sum(n), 0) FROM
		(SELECT stream, n FROM hot UNION ALL SELECT stream, n FROM chunk) WHERE stream = (SELECT id FROM stream WHERE name = 'wave')"
}
all_frames() { [ "$(frames)" = 3072 ]; }
until_true 10 all_frames || { ctl streams --json; fail "not all frames were stored"; }
for k in $(seq 0 23); do
	us=$((base * 1000000 + k * 1280000))
	class=low
	[ $((k % 2)) -eq 0 ] || class=high
	ctl label wave $us $((us + 1270000)) $class >/dev/null || fail "label"
done
ctl retrain m --wait --reason "under systemd" >"$dir/retrain" 2>&1 || { cat "$dir/retrain"; fail "retrain"; }
grep -q promoted "$dir/retrain" || { cat "$dir/retrain"; fail "not promoted"; }
say "$(grep promoted "$dir/retrain")"

linked() { [ "$(ctl sources --json | jq '[.[] | select(.type == "link" and .state == "up")] | length')" = 2 ]; }
until_true 10 linked || { ctl sources --json; fail "the devices are not reached"; }
swapped() {
	ctl rollouts --json | jq -e 'any(.[]; .model == "m" and .state == "done" and
		(.devices | length == 2 and all(. == "confirmed")))' >/dev/null
}
until_true 30 swapped || { ctl rollouts --json; ctl devices; fail "the devices do not run the new version"; }
say "both devices run it"

# --- a trainer yields, and dies with the daemon ------------------------------------------------------------
trainer() { # its pid as seen outside
	trainer_pid=""
	for p in $(pgrep -x hone-train); do
		[ "$(readlink "/proc/$p/ns/pid")" != "$(readlink "/proc/$leader/ns/pid")" ] || trainer_pid=$p
	done
	[ -n "$trainer_pid" ]
}
idle() { [ "$(sed 's/.*) //' "/proc/$trainer_pid/stat" | cut -d ' ' -f 17,39)" = "19 5" ]; }
start_long() {
	ctl retrain long >/dev/null || fail "retrain long"
	until_true 10 trainer || fail "no trainer"
	until_true 3 idle || fail "the trainer is not nice 19 and SCHED_IDLE"
}
new_main() { now=$(main_pid); [ "$now" != 0 ] && [ "$now" != "$old" ] && active; }
intact() {
	until_true 5 ctl status >/dev/null 2>&1 || fail "$1: no answer"
	[ "$(frames)" = 3072 ] || fail "$1: $(frames) frames instead of 3072"
	ctl models --json | jq -e '.[] | select(.name == "m").champion' >/dev/null || fail "$1: no champion"
}
start_long
old=$(main_pid)
in_root sh -c "kill -9 $old"
until_true 2 gone "$trainer_pid" || fail "the trainer lives on"
until_true 10 new_main || fail "not restarted after kill -9"
[ "$(prop NRestarts)" = 1 ] || fail "$(prop NRestarts) restarts instead of 1"
intact "after kill -9"
ctl jobs >"$dir/jobs"
say "killed, restarted: $(grep long "$dir/jobs" | head -n 1)"

start_long
start=$(date +%s%N)
in_root systemctl stop honed || fail "systemctl stop"
took=$((($(date +%s%N) - start) / 1000000))
[ $took -lt 5000 ] || fail "the stop took $took ms"
gone "$trainer_pid" || fail "the trainer lives on after the stop"
[ "$(prop ActiveState) $(prop Result) $(prop ExecMainStatus)" = "inactive success 0" ] || fail "stop: $(prop Result) $(prop ExecMainStatus)"
say "stopped within $took ms while training"

# --- a hang ---------------------------------------------------------------------------------------------
mkdir -p "$root/etc/systemd/system/honed.service.d"
printf '[Service]\nWatchdogSec=3\n' >"$root/etc/systemd/system/honed.service.d/quick.conf"
in_root systemctl daemon-reload
in_root systemctl start honed || fail "systemctl start"
sleep 4
active || fail "not active"
[ "$(prop NRestarts)" = 0 ] || fail "the watchdog bites a daemon that works"
old=$(main_pid)
in_root sh -c "kill -STOP $old"
start=$(date +%s%N)
until_true 15 new_main || fail "not restarted after a hang"
took=$((($(date +%s%N) - start) / 1000000))
in_root journalctl -u honed --no-pager -o cat | grep -q "Watchdog timeout" || fail "it was not the watchdog"
intact "after a hang"
say "hung, restarted after $took ms with WatchdogSec=3"

# --- reload -----------------------------------------------------------------------------------------------
old=$(main_pid)
config "$(good 61 epochs)"
in_root systemctl reload honed || fail "systemctl reload"
logged "event=reload result=applied"
config "$(good 61 epoch)"
! in_root systemctl reload honed 2>/dev/null || fail "systemctl reload accepts errors"
logged "did you mean 'epochs'"
in_root sh -c "kill -HUP $old"
logged "event=reload result=refused"
active || fail "a bad file ended it"
[ "$(main_pid)" = "$old" ] || fail "a bad file restarted it"
config "$(good 61 epochs)"
say "reloaded; a bad file is refused, and it runs on"

# --- no more than honed(8) says: filters that systemd has from the kernel's BPF --------------------------------
# A device without a driver: allowed means "no such device", refused means "not permitted".
for node in "ttyUSB250 188" "ttyACM250 166" "ttyOTHER 240"; do
	mknod -m 666 "/proc/$leader/root/dev/${node% *}" c "${node#* }" 250
done
if ! in_root systemd-run -q --wait --pipe -p DevicePolicy=closed -- dd if=/dev/ttyOTHER 2>&1 | grep -q "not permitted"; then
	say "not tested: devices and networks out of reach, there are no such filters in a container here"
	exit 0
fi
restart_with() { # sources; asks the journal from here on
	config "$1
streams:
  - {name: wave, source: feed, period: 10ms, channels: [ax, ay, az]}"
	since=$(in_root date "+%F %T.%6N")
	in_root systemctl restart honed || fail "systemctl restart"
}
told() { # source, why it is not up
	in_root journalctl -u honed --since "$since" --no-pager -o cat | grep "source=$1 " | grep -qF -- "$2"
}
tell() { until_true 10 told "$@" || fail "source $1 is not told: $2"; }
restart_with "  - {name: usb, type: link, port: /dev/ttyUSB250}
  - {name: acm, type: link, port: /dev/ttyACM250}
  - {name: other, type: link, port: /dev/ttyOTHER}"
tell usb "No such device"                # allowed although there is no such driver yet
tell acm "No such device"
tell other "Operation not permitted"
say "other devices are out of reach"
if command -v ip >/dev/null 2>&1 && nsenter -t "$leader" -n ip addr add 192.0.2.1/32 dev lo; then
	tcp="  - {name: near, type: link, port: \"tcp:127.0.0.1:9\"}
  - {name: far, type: link, port: \"tcp:192.0.2.1:9\"}"
	restart_with "$tcp"
	tell near "Connection refused"           # nobody listens: an answer
	sleep 1
	! told far "Connection refused" || fail "another network is reached"
	printf '[Service]\nIPAddressAllow=192.0.2.0/24\n' >"$root/etc/systemd/system/honed.service.d/quick.conf"
	in_root systemctl daemon-reload
	restart_with "$tcp"
	tell far "Connection refused"
	say "other networks are out of reach, until IPAddressAllow"
fi
in_root systemctl stop honed || fail "systemctl stop"
