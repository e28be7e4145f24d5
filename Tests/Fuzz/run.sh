#!/usr/bin/env bash
# Runs each fuzz target for SECONDS (default 10), then the control: a planted bug that must be found.
set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=${1:-10}
export CHATELAINE_FUZZ=1 SWIFT_BACKTRACE=enable=no
scratch=.build-fuzz
if ! swift build --scratch-path $scratch --sanitize fuzzer --product chatelaine-fuzz -c release >$scratch.log 2>&1; then
  cat $scratch.log; rm -f $scratch.log; exit 1
fi
rm -f $scratch.log
fuzzer=$scratch/release/chatelaine-fuzz
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
failed=0
for target in envelope wrapped-key entry frame keyring configuration; do
  mkdir -p "$work/$target"
  if command -v python3 >/dev/null; then python3 Tests/Fuzz/seeds.py "$target" "$work/$target"
  else echo "skipped: seeds from the vectors need python3"; fi
  if CHATELAINE_FUZZ_TARGET=$target "$fuzzer" -max_total_time="$seconds" -max_len=8192 -rss_limit_mb=1024 \
    -artifact_prefix="$work/" -print_final_stats=1 "$work/$target" >"$work/log" 2>&1; then
    echo "$target: $(sed -n 's/stat::number_of_executed_units: *//p' "$work/log") inputs, none crashed"
  else
    failed=1; echo "$target: CRASHED"; tail -20 "$work/log"
    for input in "$work"/crash-* "$work"/timeout-* "$work"/oom-*; do [ -e "$input" ] && xxd "$input" | head -20; done
  fi
done
mkdir "$work/planted"
if CHATELAINE_FUZZ_TARGET=planted "$fuzzer" -max_total_time=60 -artifact_prefix="$work/" "$work/planted" >/dev/null 2>&1
then echo "control: the planted bug was NOT found"; failed=1
else echo "control: the planted bug was found"; fi
exit $failed
