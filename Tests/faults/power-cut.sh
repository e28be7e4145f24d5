#!/usr/bin/env bash
# Power cuts under a writing log, on ext4 in a loop device: what was acknowledged must be there after.
#
#   power-cut.sh [CUTS]             default 20; fails if one acknowledged entry is missing
#   power-cut.sh --control [CUTS]   the same without any fsync (libeatmydata): fails if NOTHING is lost
#
# Each cut: drill writes, is stopped (no ack leaves any more), the filesystem is shut down without
# flushing its journal, the drill is killed, the filesystem mounted anew, the drill started again (its
# recovery runs), the log verified and every ack looked up. Needs root.
set -u
source "$(dirname "$0")/common.sh"

control=
if [ "${1:-}" = --control ]; then control=yes; shift; fi
cuts=${1:-20}
if [ "$(id -u)" != 0 ]; then echo "skipped: power cuts need root"; exit 0; fi
find_drill
begin_work
seed=${CHATELAINE_SEED:-$RANDOM}
RANDOM=$seed
echo "power cuts: $cuts, CHATELAINE_SEED=$seed${control:+, control without fsync}"

"${CC:-cc}" -O1 -o "$work/shutdown" "$(dirname "$0")/shutdown.c" 2>/dev/null ||
  clang -O1 -o "$work/shutdown" "$(dirname "$0")/shutdown.c" || exit 1
truncate -s 128M "$work/disk.img"
mkfs.ext4 -q -F "$work/disk.img" || { echo "skipped: power cuts need mkfs.ext4"; exit 0; }
mkdir "$work/mnt"
if ! mount -o loop "$work/disk.img" "$work/mnt" 2>/dev/null; then echo "skipped: power cuts need loop mounts"; exit 0; fi
if [ -n "$control" ]; then
  library=$(find /usr/lib -name 'libeatmydata.so*' -print -quit 2>/dev/null)
  if [ -z "$library" ]; then echo "skipped: the control needs libeatmydata"; exit 0; fi
  wrap=(env "LD_PRELOAD=$library")
fi

# Mounts the disk anew after a cut. A mount namespace that somebody made meanwhile keeps the old mount, which is shut down,
# and the kernel would give the same one again: then what the disk holds goes on in a copy.
remount() {
  umount "$work/mnt" || return 1
  for _ in $(seq 20); do
    [ -n "$(losetup -j "$work/disk.img")" ] || break
    sleep 0.1
  done
  if [ -n "$(losetup -j "$work/disk.img")" ]; then
    cp --sparse=always "$work/disk.img" "$work/disk.copy" && mv "$work/disk.copy" "$work/disk.img" || return 1
  fi
  mount -o loop "$work/disk.img" "$work/mnt"
}

sizes=(--first-segment-bytes 131072 --segment-bytes 524288)
total=0 lost=0 refused=0 tears=0 least=
# A new log, whole on the disk: the control too is to lose entries, not a log that never was.
begin_log() {
  rm -rf "$work/mnt/log"
  mkdir "$work/mnt/log"
  : >"$work/acks"
  "$drill" --log "$work/mnt/log" --create --entries 8 "${sizes[@]}" >"$work/acks" 2>>"$work/stderr"
  sync -f "$work/mnt"
}
begin_log

for cut in $(seq "$cuts"); do
  before=$(wc -l <"$work/acks")
  : >"$work/stderr"
  start_drill "$work/acks" --log "$work/mnt/log" --seconds 60 "${sizes[@]}"
  sleep "0.$((RANDOM % 5 + 2))$((RANDOM % 10))"
  if ! kill -STOP "$drill_pid" 2>/dev/null; then fail "cut $cut: the drill ended before its time"; break; fi
  sleep 0.02
  "$work/shutdown" "$work/mnt" || { fail "cut $cut: no shutdown"; break; }
  kill -KILL "$drill_pid"
  wait "$drill_pid" "$drain_pid" 2>/dev/null
  remount || { fail "cut $cut: no remount"; break; }

  # The next start recovers; it appends one entry so that the log is written to again.
  wrap_kept=("${wrap[@]}") wrap=()
  start_drill "$work/acks" --log "$work/mnt/log" --threads 1 --entries 1
  wait "$drill_pid"; status=$?
  wait "$drain_pid"
  wrap=("${wrap_kept[@]}")
  acked=$(($(wc -l <"$work/acks") - before))
  total=$((total + acked))
  [ -n "$least" ] && [ "$least" -le "$acked" ] || least=$acked
  tears=$((tears + $(grep -c '^recovered' "$work/stderr")))
  "$drill" --list "$work/mnt/log" >"$work/list" 2>/dev/null
  missing=$(missing_acks "$work/acks" "$work/list")
  lost=$((lost + missing))
  if [ "$status" != 0 ] || ! "$drill" --verify "$work/mnt/log" >"$work/verdict" 2>&1 || ! grep -q '^valid' "$work/verdict"; then
    refused=$((refused + 1))
    [ -n "$control" ] || { fail "cut $cut: start $status, $(cat "$work/verdict" 2>/dev/null)"; break; }
    begin_log
    continue
  fi
  if [ "$missing" != 0 ]; then
    [ -n "$control" ] || { fail "cut $cut: $missing acknowledged entries missing, such as $(head -1 "$work/missing")"; break; }
    begin_log
  fi
  [ $((cut % 20)) != 0 ] || echo "cut $cut: $total acknowledged so far, $lost missing"
  # A log that grows for ever only makes the verification slower.
  [ "$(wc -l <"$work/acks")" -lt 60000 ] || begin_log
done

echo "power cuts: $cuts, $total entries acknowledged (least $least in a cut, mean $((total / cuts))), $lost missing, $refused refused to start, $tears tears recovered"
if [ -n "$control" ]; then
  [ "$lost" -gt 0 ] || fail "the control without fsync lost nothing in $cuts cuts"
fi
exit $((failures > 0))
