# Shared by the fault scripts: where the drill is, scratch space that goes away, acks against a log.
# shellcheck shell=bash

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# The driver: CHATELAINE_DRILL, else what the last build made.
find_drill() {
  drill=${CHATELAINE_DRILL:-}
  for kind in release debug; do
    [ -n "$drill" ] || [ ! -x "$repository/.build/$kind/chatelaine-drill" ] || drill=$repository/.build/$kind/chatelaine-drill
  done
  if [ -z "$drill" ]; then
    (cd "$repository" && swift build --product chatelaine-drill >&2) || exit 1
    drill=$repository/.build/debug/chatelaine-drill
  fi
}

# A scratch directory in $work; mounts below it, and it, are gone at exit.
begin_work() {
  work=$(mktemp -d "${TMPDIR:-/tmp}/chatelaine-faults.XXXXXX")
  children=()
  trap end_work EXIT
  trap 'exit 130' INT TERM
}

end_work() {
  local child mount
  for child in "${children[@]}"; do kill -KILL "$child" 2>/dev/null; done
  wait 2>/dev/null
  while read -r mount; do umount "$mount" 2>/dev/null || umount -l "$mount" 2>/dev/null; done \
    < <(awk -v work="$work" 'index($2, work "/") == 1 { print $2 }' /proc/mounts | tac)
  rm -rf "$work"
}

# Starts the drill, its acks through a pipe into $1: `start_drill ACKS ARGUMENTS…` sets drill_pid, drain_pid.
# The pipe's other end is outside the log's filesystem and limits.
start_drill() {
  local acks=$1
  shift
  rm -f "$work/pipe"
  mkfifo "$work/pipe"
  (ulimit -f unlimited; exec cat "$work/pipe") >>"$acks" &
  drain_pid=$!
  "${wrap[@]}" "$drill" "$@" >"$work/pipe" 2>>"$work/stderr" &
  drill_pid=$!
  children=("$drill_pid" "$drain_pid")
}
wrap=()

# Every line of acks $1 must be a line of list $2: prints how many are not, and the first.
missing_acks() {
  grep '^ack [0-9]* [0-9a-f]\{64\}$' "$1" | cut -c5- | sort >"$work/acked.sorted"
  sort "$2" >"$work/listed.sorted"
  comm -23 "$work/acked.sorted" "$work/listed.sorted" >"$work/missing"
  wc -l <"$work/missing"
}

fail() {
  echo "FAILED: $*" >&2
  [ ! -s "$work/stderr" ] || tail -5 "$work/stderr" >&2
  failures=$((failures + 1))
}
failures=0
