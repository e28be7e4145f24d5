#!/usr/bin/env bash
# Runs each fuzz target for SECONDS (default 10), then the control: a planted bug that must be found.
set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=${1:-10}
export CHATELAINE_FUZZ=1 SWIFT_BACKTRACE=enable=no
scratch=.build-fuzz
# A few seconds are over before an optimized build would have paid for itself.
configuration=$([ "$seconds" -gt 30 ] && echo release || echo debug)
if ! swift build --scratch-path $scratch --sanitize fuzzer --product chatelaine-fuzz -c $configuration >$scratch.log 2>&1; then
  cat $scratch.log; rm -f $scratch.log; exit 1
fi
rm -f $scratch.log
fuzzer=$scratch/$configuration/chatelaine-fuzz
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
failed=0
# Fuzzes one target, whatever else is being fuzzed; tells how it went in $work/TARGET.said.
fuzz() {
  local place=$work/$1 input
  mkdir -p "$place/inputs" "$place/found"
  if command -v python3 >/dev/null; then python3 Tests/Fuzz/seeds.py "$1" "$place/inputs"
  else echo "skipped: seeds from the vectors need python3"; fi
  if CHATELAINE_FUZZ_TARGET=$1 "$fuzzer" -max_total_time="$seconds" -max_len=8192 -rss_limit_mb=1024 \
    -artifact_prefix="$place/found/" -print_final_stats=1 "$place/inputs" >"$place/log" 2>&1; then
    echo "$1: $(sed -n 's/stat::number_of_executed_units: *//p' "$place/log") inputs, none crashed"
  else
    echo "$1: CRASHED"; tail -20 "$place/log"
    for input in "$place"/found/*; do [ -e "$input" ] && xxd "$input" | head -20; done
    return 1
  fi
}
# Two at a time: each is one thread.
targets=(envelope wrapped-key entry frame keyring configuration proof http token)
for ((first = 0; first < ${#targets[@]}; first += 2)); do
  pair=("${targets[@]:first:2}") started=()
  for target in "${pair[@]}"; do
    fuzz "$target" >"$work/$target.said" 2>&1 &
    started+=($!)
  done
  for process in "${started[@]}"; do wait "$process" || failed=1; done
  for target in "${pair[@]}"; do cat "$work/$target.said"; done
done
mkdir "$work/planted"
if CHATELAINE_FUZZ_TARGET=planted "$fuzzer" -max_total_time=60 -artifact_prefix="$work/" "$work/planted" >/dev/null 2>&1
then echo "control: the planted bug was NOT found"; failed=1
else echo "control: the planted bug was found"; fi
exit $failed
