#!/bin/sh
# honed is killed in each phase of the loop and goes on after a restart: nothing acknowledged is lost, the loop
# completes, and the devices never run anything but a whole version.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"

# --- a database that hangs where we want it ------------------------------------------------------------

# hang WHEN TABLE CONDITION: from the next start on, the transaction that writes such a row does not end
hang() {
	sqlite3 "$db" "CREATE VIEW IF NOT EXISTS endless(n) AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c)
		SELECT n FROM c LIMIT 100000000000;
		CREATE TRIGGER hang BEFORE $1 ON $2 WHEN $3 BEGIN SELECT count(*) FROM endless; END;"
}
no_hang() { sqlite3 "$db" "DROP TRIGGER hang; DROP VIEW endless"; }

# --- a line to pump-1 with a valve ------------------------------------------------------------------------

# While $dir/open is missing, a connection passes 12,000 bytes to the device and then no more.
cat >"$dir/valve" <<SH
#!/bin/sh
{
	dd bs=1 count=12000 2>/dev/null
	until [ -e "$dir/open" ]; do sleep 0.05; done
	cat
} | socat -t 0.1 - "UNIX-CONNECT:$run/pump-1"
SH

# --- killing ----------------------------------------------------------------------------------------------

all_frames() {
	sql "SELECT coalesce(sum(n), 0) FROM (SELECT n FROM hot UNION ALL SELECT n FROM chunk)"
}
base=0

# kill_in PHASE: what was told to be durable must be there; the trainer goes with honed
kill_in() {
	known=$(ctl_json streams | jq .durable)
	labels=$(sql "SELECT count(*) FROM label")
	crash
	stored=$(all_frames)
	expect_at_least "frames after the kill in phase '$1'" "$stored" $((base + known))
	expect_at_least "labels after the kill in phase '$1'" "$(sql 'SELECT count(*) FROM label')" "$labels"
	[ -z "${trainer:-}" ] || wait_for 2 "end of the trainer without its honed" gone "$trainer"
	expect_equal "check of the database after the kill in phase '$1'" "$(sql 'PRAGMA quick_check')" ok
	echo "$(date +%T) killed in phase '$1': $((base + known)) frames told to be durable, $stored stored"
}

# again: as systemd would
again() {
	base=$(all_frames)
	start
	wait_for 10 "both pumps after the restart" online 1
	wait_for 10 "both pumps after the restart" online 2
}

# --- the story ----------------------------------------------------------------------------------------------

slow_trainer
rm "$dir/slow"
model_more='    predict: true
    policy: {mode: auto, cooldown: 0s, labels_min: 24, label_budget: 200}
    train: {epochs: 300, rate: 0.001, weight_decay: 0.001, recent_share: 0.5, scaler_frames: 4096}
    monitor: {learn: 64}
    gate: {windows_min: 1, gain_min: -1, forget_max: 1, int8_loss_max: 1}
    rollout: {canary: 1, trial_inferences: 25, probation: 0s}'
with_count() { # a stream of numbered frames besides
	sed "s|^sources:|&\n  - {name: in, type: line, listen: \"unix:$run/in\", precision: us}|
		s|^streams:|&\n  - {name: count, source: in, period: 1ms, channels: [a]}|
		s|dense 32, relu, dense 16|dense 128, relu, dense 64|; s|unix:$run/pump-1|unix:$run/valve-1|"
}
echo "$master" >"$dir/master.key"
record 240
sim 1 --age-ramp 1 --geometry 4096,8,32768,40000
sim 2 --age-ramp 1
touch "$dir/open"
launch "$dir/valve.log" socat "UNIX-LISTEN:$run/valve-1,fork" "SYSTEM:sh $dir/valve"
conf_pump "$(bench_file)" | with_count >"$conf"
start
until_event 20 0 '.kind == "source_end"'
wait_for 20 "first version on both pumps" serves 1
stop
conf_pump "{name: bench, type: line, listen: \"unix:$run/bench\"}" | with_count >"$conf"
again

# ingest: 500,000 numbered frames as fast as they are taken
awk 'BEGIN { for (i = 0; i < 500000; i++) printf "count a=%d %.0f\n", i, 1000000000 + 1000 * i }' >"$dir/count"
launch "$dir/feed.log" socat -u "OPEN:$dir/count" "UNIX-CONNECT:$run/in"
feeds() { [ "$(frames count)" -gt 20000 ]; }
wait_for 10 "frames of the feed" feeds
kill_in ingest
n=$(frames count)
[ "$n" -lt 500000 ] || fail "the feed was over: this tested nothing"
expect_equal "frames from the first to the last" "$n" "$(sql "SELECT (max(t1) - min(t0)) / 1000 + 1 FROM
	(SELECT t0, t1, stream FROM hot UNION ALL SELECT t0, t1, stream FROM chunk)
	WHERE stream = (SELECT id FROM stream WHERE name = 'count')")"
again

# alarm
armed() {
	ctl_json model pump | jq -e '[.monitor.streams[] | select(.stream | startswith("vib")) | .armed] == [true, true]'
}
wait_for 20 "monitor that knows what is usual" armed
expect_equal "alarms before the ageing" "$(sql "SELECT count(*) FROM episode")" 0
mark=$(newest)
kill -USR1 "$sim_1" "$sim_2"
until_event 20 "$mark" '.kind == "alarm"'
kill_in alarm
again

# the operator answers; training
until_event 20 "$mark" '.kind == "labels_wanted"'
touch "$dir/slow"
states="off normal cavitation bearing"
answer_all() {
	ctl_json requests | jq -r '.[] | "\(.stream) \(.t_us)"' >"$dir/questions"
	while read -r stream t; do
		state=$(awk -F, -v t="$t" '{ far = $2 - t; if (far < 0) far = -far }
			NR == 1 || far < least { least = far; s = $3 } END { print s }' "$dir/pump-${stream#vib-}.truth")
		# shellcheck disable=SC2086 # the words of $states
		class=$(set -- $states; shift "$state"; echo "$1")
		ctl label "$stream" "$t" "$class" --who operator >/dev/null </dev/null || fail "label refused"
	done <"$dir/questions"
}
answered() { trainer_runs || { answer_all; trainer_runs; }; }
wait_for 10 "trainer" answered
until_event 10 "$mark" '.kind == "job_plan"'
kill_in training
hang INSERT version "1"
rm "$dir/slow"
again
until_event 5 "$mark" '.kind == "job_restarted"'

# on the way to the gate: the job is done, its candidate could not be stored
done_job() { [ "$(sql "SELECT state FROM job ORDER BY id DESC LIMIT 1")" = "done" ]; }
wait_for 90 "end of the job" done_job
kill_in "between training and gate"
no_hang
hang "UPDATE OF state" version "new.state = 'champion'"
again
expect_equal "state of the job without a candidate" "$(ctl_json jobs | jq -r '.[0].state')" failed

# gate: the candidate is stored, the decision hangs
mark=$(newest)
ctl retrain pump --reason "after two interruptions" >"$dir/out" || fail "no third training"
candidate() { [ "$(sql "SELECT count(*) FROM version WHERE state = 'candidate'")" -eq 1 ]; }
wait_for 20 "candidate" candidate
until_event 5 "$mark" '.kind == "job_done"'
kill_in gate
candidate || fail "the candidate is lost"
expect_equal "champion after the kill" "$(sql "SELECT group_concat(number) FROM version WHERE state = 'champion'")" 1
no_hang
rm "$dir/open"
again

# transfer: half of the chunks are there
sending() { ctl_json devices | jq -e '.[0].rollout | .state == "sending" and .sent > 8000 and .sent < .size'; }
wait_for 20 "half of a transfer" sending
kill_in transfer
touch "$dir/open"
expect_equal "state of the step" "$(sql "SELECT state FROM rollout_device WHERE rollout = 2 AND device = 'pump-1'")" sending
hang INSERT rollout_device "new.state = 'confirmed' AND new.device = 'pump-1'"
again

# trial
until_event 20 "$mark" '.kind == "trial_started" and .device == "pump-1"'
kill_in trial
expect_equal "state of the step" "$(sql "SELECT state FROM rollout_device WHERE rollout = 2 AND device = 'pump-1'")" trial
again

# confirming: the device has confirmed, honed could not write that down
step() { ctl_json devices | jq -e ".[$1].rollout.state == \"$2\""; }
begin=$(date +%s%N)
wait_for 20 "confirmation of pump-1" step 0 confirmed
expect_at_least "milliseconds of the trial after the restart" $((($(date +%s%N) - begin) / 1000000)) 1500
kill_in confirming
expect_equal "state of the step" "$(sql "SELECT state FROM rollout_device WHERE rollout = 2 AND device = 'pump-1'")" confirming
no_hang
again
wait_for 20 "version 2 on both pumps" serves 2

# --- what must be true at the end ---------------------------------------------------------------------------

expect_equal "alarms of the first episode" \
	"$(sql "SELECT count(*) FROM journal WHERE kind = 'alarm' AND episode = 1")" 1
expect_equal "states of the versions" \
	"$(sql "SELECT group_concat(number || state, ' ') FROM (SELECT * FROM version ORDER BY number)")" "1retired 2champion"
expect_equal "rollouts" "$(sql "SELECT group_concat(state, ' ') FROM (SELECT * FROM rollout ORDER BY id)")" "done done"
# a whole version: what each device answers is what the gateway computes with its image from the same frames
compared() { # stream
	sql "SELECT count(*) || ' ' || coalesce(sum(a.class <> b.class), 0) FROM prediction a JOIN prediction b
		ON a.stream = b.stream AND a.t = b.t AND a.version = b.version AND a.device = 1 AND b.device = 0
		JOIN version v ON v.id = a.version WHERE v.number = 2 AND a.stream = (SELECT id FROM stream WHERE name = '$1')"
}
enough() { [ "$(compared "$1" | cut -d ' ' -f 1)" -ge 20 ]; }
for n in 1 2; do
	expect_equal "versions that pump-$n ran, in order" "$(cut -d , -f 5 "$dir/pump-$n.truth" | uniq | tr '\n' ' ')" "0 1 2 "
	awk -F, '$5 > 0 && $4 == "-"' "$dir/pump-$n.truth" | grep -q . && fail "pump-$n: a window without an answer"
	expect_equal "missed inferences of pump-$n" "$(tail -n 1 "$dir/pump-$n.truth" | cut -d , -f 6)" 0
	wait_for 20 "windows of pump-$n that the gateway judged too" enough "vib-$n"
	echo "pump-$n: windows compared and differing: $(compared "vib-$n")"
	expect_equal "answers of pump-$n that no whole version gives" "$(compared "vib-$n" | cut -d ' ' -f 2)" 0
done
stop
