#!/usr/bin/env bash
# The project's tests, from a clean clone in under 25 minutes on 2 cores.
#
#   deploy/test.sh          unit tests, command line, faults of disk and log, 20 power cuts each of the log and of the
#                           service, 20 kills, fuzzers for 10 s
#   deploy/test.sh --all    also the slow kinds: every byte of the tamper matrix, 10,000 simulated crashes,
#                           200 power cuts with their control, 50 and 100 kills of the service, fuzzers for 2 minutes
set -u
cd "$(dirname "$0")/.." || exit 1
source deploy/requirements.sh
all=
[ "${1:-}" = --all ] && all=yes
require_swift && require "${build_packages[@]}" || exit 1
# Tests that lack a tool skip themselves with a line; as root there is no reason to lack one.
[ "$(id -u)" = 0 ] && { require "${test_packages[@]}" || exit 1; }

export SWIFT_BACKTRACE=enable=no
passed=0 failed=0
# run NAME COMMAND...: one step; its output is shown as it comes.
run() {
  local name=$1; shift
  echo "== $name"
  local start=$SECONDS
  if "$@"; then passed=$((passed + 1)); echo "== ok: $name ($((SECONDS - start)) s)"
  else failed=$((failed + 1)); echo "== FAILED: $name ($((SECONDS - start)) s)"; fi
}

run "debug build" swift build --build-tests || exit 1
# The same way as the quickstart builds: what one has built the other does not build again.
release_build=(swift build -c release --static-swift-stdlib)
run "release build" "${release_build[@]}" --product chatelaine-drill
[ "$failed" = 0 ] || { echo "$passed passed, $failed failed"; exit 1; }
debug=$(swift build --show-bin-path) release=$("${release_build[@]}" --show-bin-path)

if [ -n "$all" ]; then CHATELAINE_SLOW=1 run "unit tests, slow ones too" swift test --skip-build
else
  echo "skipped without --all: every byte of the tamper matrix, 10,000 simulated crashes, 200 power cuts"
  run "unit tests" swift test --skip-build
fi
run "command line: keyring and envelope" Tests/cli/keyring.sh "$debug/chatelaine"
run "command line: init and check" Tests/cli/init.sh "$debug"
run "command line: a running service" Tests/cli/service.sh "$debug"
run "command line: locks, files and owners" Tests/cli/places.sh "$debug"
run "command line: audit" Tests/cli/audit.sh "$debug/chatelaine"
export CHATELAINE_DRILL="$release/chatelaine-drill"
run "log faults" Tests/faults/log-faults.sh
run "power cuts" Tests/faults/power-cut.sh "$([ -n "$all" ] && echo 200 || echo 20)"
run "power cuts, control that must lose" Tests/faults/power-cut.sh --control 5
export CHATELAINE_BIN="$debug"
[ -z "$all" ] || export CHATELAINE_SLOW=1
run "service: every method" Tests/service/smoke.py
run "service: an exact entry for every call" Tests/service/exact.py
run "service: receipts, warnings, passed sockets" Tests/service/doors.py
run "service: bad inputs and abuse" Tests/service/rows.py
run "service: what is kept back, and what is told" Tests/service/reserves.py
run "service: what does not belong together" Tests/service/swaps.py
run "service: a log that was rewritten" Tests/service/rewritten.py
run "service: signed heads" Tests/service/heads.py
run "service: random inputs" Tests/service/random-inputs.py
run "service: keys disabled under load" Tests/service/revocation.py
run "service: the master key rotated" Tests/service/master-rotation.py
run "service: no reply before its sync" Tests/service/order.py
run "service: killed under load" Tests/service/kills.py
run "service: power cuts under load" Tests/service/power-cuts.py
run "service: power cuts, control that must lose" Tests/service/power-cuts.py --control
run "service: a sync that fails" Tests/service/eio.py
run "service: a log that cannot be written" Tests/service/full-disk.py
run "service: no secret in any file" Tests/service/at-rest.py
run "service: a crash prints no secret" Tests/service/crash.py
run "service: no secret stays in memory" Tests/service/memory.py
if [ -n "$all" ]; then run "service: memory and crashes, with test builds and controls" Tests/service/test-builds.sh
else echo "skipped without --all: memory and crashes with test builds, and their controls"; fi
run "fuzzers" Tests/Fuzz/run.sh "$([ -n "$all" ] && echo 120 || echo 10)"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
