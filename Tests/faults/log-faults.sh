#!/usr/bin/env bash
# A log whose disk is full, read-only, failing, or taken away: after each, every acknowledged entry is on
# the disk, the process ended with the code it documents, and the next start is clean.
#
#   log-faults.sh        what cannot run here is skipped with a line
set -u
source "$(dirname "$0")/common.sh"
find_drill
begin_work
seed=${CHATELAINE_SEED:-$RANDOM}
RANDOM=$seed
echo "log faults: CHATELAINE_SEED=$seed"
sizes=(--first-segment-bytes 131072 --segment-bytes 262144)
cases=0 acked_total=0

begin_case() {
  name=$1
  log=${2:-$work/log}
  cases=$((cases + 1))
  rm -rf "$log"
  mkdir -p "$log"
  : >"$work/acks"
  : >"$work/stderr"
}

# Runs the drill to its end: `run_drill ARGUMENTS…` sets $status.
run_drill() {
  start_drill "$work/acks" --log "$log" --create "${sizes[@]}" "$@"
  await_drill
}

await_drill() {
  wait "$drill_pid"
  status=$?
  wait "$drain_pid"
}

# The exit code is one of those given, the log starts again, is valid, and holds every ack.
check_case() {
  local allowed=" $* " before
  case $allowed in *" $status "*) ;; *) fail "$name: exit $status, expected one of$allowed" ;; esac
  before=$(wc -l <"$work/acks")
  acked_total=$((acked_total + before))
  wrap=()
  run_drill --entries 5
  [ "$status" = 0 ] || fail "$name: the next start exits $status"
  "$drill" --verify "$log" >"$work/verdict" 2>&1 || fail "$name: $(cat "$work/verdict")"
  grep -q '^valid' "$work/verdict" || fail "$name: $(cat "$work/verdict")"
  "$drill" --list "$log" >"$work/list"
  local missing
  missing=$(missing_acks "$work/acks" "$work/list")
  [ "$missing" = 0 ] || fail "$name: $missing of $before acks are not on disk, such as $(head -1 "$work/missing")"
  echo "ok: $name ($before acknowledged)"
}

acks() { wc -l <"$work/acks"; }
can_mount() { [ "$(id -u)" = 0 ] || { echo "skipped: $1 needs root"; return 1; }; }

# MARK: Space

full_tmpfs() {
  can_mount "a full tmpfs" || return
  mkdir -p "$work/tmpfs"
  mount -t tmpfs -o size=700k none "$work/tmpfs" || { echo "skipped: a full tmpfs needs mounts"; return; }
  begin_case "full tmpfs" "$work/tmpfs/log"
  run_drill --seconds 4
  grep -q '^refused: unavailable' "$work/stderr" || fail "$name: nothing was refused"
  mount -o remount,size=16m "$work/tmpfs"
  check_case 69

  mount -o remount,size=2m "$work/tmpfs"
  begin_case "full tmpfs, then space again" "$work/tmpfs/log"
  start_drill "$work/acks" --log "$log" --create "${sizes[@]}" --seconds 6
  sleep 4
  local before
  before=$(acks)
  # Room for more than the fastest machine writes in the seconds left.
  mount -o remount,size=2g "$work/tmpfs"
  await_drill
  [ "$(acks)" -gt "$before" ] || fail "$name: nothing more was acknowledged ($before)"
  check_case 0
  umount "$work/tmpfs"
}

file_size_limit() {
  begin_case "RLIMIT_FSIZE"
  wrap=(bash -c 'ulimit -f 200; exec "$@"' limit)
  run_drill --seconds 3
  grep -q 'errno: 27' "$work/stderr" || fail "$name: no EFBIG was reported"
  check_case 69
}

# MARK: A filesystem that turns against the log

aborted_filesystem() {
  can_mount "an aborted filesystem" || return
  truncate -s 64M "$work/disk.img"
  mkfs.ext4 -q -F "$work/disk.img" && mkdir -p "$work/ext4" && mount -o loop "$work/disk.img" "$work/ext4" ||
    { echo "skipped: an aborted filesystem needs loop mounts"; return; }
  begin_case "ext4 turned read-only under the writer" "$work/ext4/log"
  start_drill "$work/acks" --log "$log" --create "${sizes[@]}" --seconds 5
  sleep 1
  mount -o remount,abort "$work/ext4" 2>/dev/null
  await_drill
  umount "$work/ext4"
  mount -o loop "$work/disk.img" "$work/ext4" || { fail "$name: no remount"; return; }
  check_case 69 74

  name="read-only mount at start"
  mount -o remount,ro "$work/ext4"
  cases=$((cases + 1))
  wrap=()
  run_drill --entries 5
  [ "$status" = 74 ] || fail "$name: exit $status"
  mount -o remount,rw "$work/ext4"
  check_case 74
  umount "$work/ext4"
}

unlinked_segment() {
  begin_case "live segment unlinked"
  start_drill "$work/acks" --log "$log" --create --first-segment-bytes 16777216 --seconds 30
  for _ in $(seq 200); do [ "$(acks)" = 0 ] || break; sleep 0.05; done
  local segment="$log/000001-0000000000.seg"
  exec 9<"$segment"
  rm "$segment"
  sleep 0.3
  local before
  before=$(acks)
  await_drill
  grep -q '^poisoned' "$work/stderr" || fail "$name: not poisoned"
  [ "$(acks)" = "$before" ] || fail "$name: receipts for a file without a name"
  cat /proc/self/fd/9 >"$segment"
  exec 9<&-
  check_case 74
}

# MARK: Calls that fail

# `sweep CALL ERROR FROM TO CODES…`: the n-th such call of each thread fails, for each n.
sweep() {
  local call=$1 error=$2 first=$3 last=$4 n
  shift 4
  for n in $(seq "$first" "$last") "$first+" "$last+"; do
    begin_case "$error on $call $n"
    wrap=(strace -f -qq --seccomp-bpf -o /dev/null -e "trace=$call" -e "inject=$call:error=$error:when=$n")
    run_drill --threads 4 --entries 900 --seconds 5
    check_case "$@"
  done
}

failing_calls() {
  if ! strace -f -qq --seccomp-bpf -o /dev/null -e trace=fdatasync true 2>/dev/null; then
    echo "skipped: failing calls need strace with --seccomp-bpf"
    return
  fi
  sweep fdatasync EIO 1 12 0 69 74
  sweep fsync EIO 1 4 0 69 74
  sweep pwrite64 EIO 1 12 0 69 74
  sweep pwrite64 ENOSPC 1 12 0 69 74
  sweep renameat2 ENOSPC 1 3 0 69 74
  sweep ftruncate EIO 1 2 0
}

# MARK: What a start refuses

refusals() {
  begin_case "two writers"
  start_drill "$work/acks" --log "$log" --create "${sizes[@]}" --seconds 2
  sleep 0.7
  "$drill" --log "$log" --entries 1 >"$work/second" 2>&1
  local second=$?
  [ "$second" = 75 ] || fail "$name: the second exits $second"
  grep -q '^ack' "$work/second" && fail "$name: the second was acknowledged"
  await_drill
  check_case 0

  begin_case "a changed byte"
  run_drill --entries 400
  local segment="$log/000001-0000000000.seg" before
  cp "$segment" "$work/kept.seg"
  printf '\xff' | dd of="$segment" bs=1 seek=4300 conv=notrunc status=none
  rm -f "$log/tree"
  before=$(acks)
  : >"$work/stderr"
  run_drill --entries 5
  [ "$status" = 65 ] || fail "$name: exit $status"
  [ "$(acks)" = "$before" ] || fail "$name: acknowledged on a corrupt log"
  grep -q '^corrupt: .*file 000001-0000000000.seg, offset 4096, sequence [0-9]' "$work/stderr" || fail "$name: not named"
  "$drill" --verify "$log" >"$work/verdict" 2>/dev/null
  [ "$?" = 65 ] || fail "$name: verify does not exit 65"
  grep -q '^tampered 0 000001-0000000000.seg 4096' "$work/verdict" || fail "$name: $(cat "$work/verdict")"
  cp "$work/kept.seg" "$segment"
  check_case 65
}

full_tmpfs
file_size_limit
aborted_filesystem
unlinked_segment
refusals
failing_calls
echo "log faults: $cases cases, $acked_total entries acknowledged, $failures failures"
exit $((failures > 0))
