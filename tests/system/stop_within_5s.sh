#!/bin/sh
# SIGTERM ends honed within five seconds, in a fast replay and while it trains: all is committed, no child is left,
# and the next start takes the job up again.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
slow_trainer
echo "$master" >"$dir/master.key"
record 240
awk 'NR == 1 { print; next } { row[NR] = $0 } END { for (i = 0; i < 200; i++) for (r = 2; r <= NR; r++) {
	at = index(row[r], ","); t = substr(row[r], 1, at - 1) + i * 2500 * (NR - 1)
	printf "%.0f%s\n", t, substr(row[r], at) } }' "$dir/bench.csv" >"$dir/long.csv"
conf_pump "$(bench_file | sed 's/bench.csv/long.csv/; s/labels: all/labels: none/')" >"$conf"
start
some() { [ "$(ctl_json sources | jq '.[0].frames')" -gt 50000 ]; }
wait_for 10 "50,000 frames" some
known=$(ctl_json streams | jq '.durable')
stop
echo "stopped in $took_ms ms"
stored=$(frames bench)
echo "told to be durable: $known, stored: $stored of $(($(wc -l <"$dir/long.csv") - 1))"
expect_at_least "frames in the database" "$stored" "$known"
[ "$stored" -lt $(($(wc -l <"$dir/long.csv") - 1)) ] || fail "the replay was over: this tested nothing"
expect_equal "check of the database" "$(sql 'PRAGMA integrity_check')" ok
# in order, none left out: the frames reach from the first to the last without a hole
expect_equal "frames from the first to the last" "$stored" "$(sql "SELECT (max(t1) - min(t0)) / 2500 + 1
	FROM (SELECT t0, t1, stream FROM hot UNION ALL SELECT t0, t1, stream FROM chunk)
	WHERE stream = (SELECT id FROM stream WHERE name = 'bench')")"

# while it trains
conf_pump "$(bench_file)" >"$conf"
start
until_event 20 0 '.kind == "source_end"'
ctl retrain pump >"$dir/out"
wait_for 10 "trainer" trainer_runs
stop
echo "stopped in $took_ms ms"
gone "$trainer" || fail "the trainer is still there"
expect_equal "state of the job" "$(sql 'SELECT state FROM job')" running
[ ! -s "$db.lock" ] || fail "the stop was not clean"
has "$log" event=stopped || fail "no word of the stop"
rm "$dir/slow"
start
! has "$log" event=db_unclean || fail "the stop was not clean"
until_event 20 0 '.kind == "job_restarted"'
until_event 20 0 '.kind == "promoted"'
expect_equal "jobs" "$(sql 'SELECT count(*) FROM job')" 1
stop
