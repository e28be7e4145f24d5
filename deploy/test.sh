#!/usr/bin/env bash
# The project's tests, from a clean clone in about 15 minutes on 2 cores.
#
#   deploy/test.sh          unit tests, command line, faults of disk and log, 20 power cuts each of the log and of the
#                           service, 20 kills
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

export SWIFT_BACKTRACE=enable=no NO_COLOR=1
passed=0 failed=0
# ended NAME SECONDS STATUS: counts a step and says how it went.
ended() {
  if [ "$3" = 0 ]; then passed=$((passed + 1)); echo "== ok: $1 ($2 s)"
  else failed=$((failed + 1)); echo "== FAILED: $1 ($2 s)"; fi
}
# build NAME COMMAND...: a step that the others need; its output is shown as it comes.
build() {
  local name=$1 start=$SECONDS status=0; shift
  echo "== $name"
  "$@" || status=$?
  ended "$name" $((SECONDS - start)) "$status"
  [ "$status" = 0 ] || { echo "$passed passed, $failed failed"; exit 1; }
}

# Many steps wait for a disk, a timer or a killed process: three run side by side on 2 cores, and each shows its output at
# its end. The long ones come first: they leave no core idle at the end.
lanes=3
said=$(mktemp -d)
declare -A step_name=() step_start=() step_said=() step_command=()
stop_steps() {
  local process
  for process in "${!step_name[@]}"; do kill -TERM -- "-$process" 2>/dev/null; done
  rm -rf "$said"
}
trap stop_steps EXIT
trap 'exit 130' INT TERM
# run NAME COMMAND...: starts a step as soon as a lane is free.
run() {
  [ "${#step_name[@]}" -lt "$lanes" ] || finish_one
  local name=$1 output; shift
  output=$(mktemp "$said/XXXXXXXX")
  set -m # a process group of its own, and Ctrl-C not ignored in it
  "$@" >"$output" 2>&1 </dev/null &
  set +m
  step_name[$!]=$name step_start[$!]=$SECONDS step_said[$!]=$output step_command[$!]=${*@Q}
}
# Waits for a step to end and shows what it said.
finish_one() {
  local process status=0
  wait -n -p process "${!step_name[@]}" || status=$?
  echo "== ${step_name[$process]}"
  cat "${step_said[$process]}"
  if [ "$status" = 0 ] || [ "${step_name[$process]}" = "$again" ]; then
    ended "${step_name[$process]}" $((SECONDS - step_start[$process])) "$status"
  else
    echo "== FAILED beside others: ${step_name[$process]} ($((SECONDS - step_start[$process])) s), runs once more by itself"
    second_name+=("${step_name[$process]}") second_command+=("${step_command[$process]}")
  fi
  unset "step_name[$process]" "step_start[$process]" "step_said[$process]" "step_command[$process]"
}
# A step that failed beside others has the machine for itself once: a deadline that two busy cores missed is no broken
# promise. What it said both times is shown, and so is how many there were.
second_name=() second_command=() again=
run_seconds() {
  local index
  for index in "${!second_name[@]}"; do
    again=${second_name[index]}
    eval "run \"\$again\" ${second_command[index]}"
    finish_one
  done
  [ "${#second_name[@]}" = 0 ] || echo "failed beside others, and ran once more: $(printf '%s; ' "${second_name[@]}")"
}

build "debug build" swift build --build-tests
debug=$(swift build --show-bin-path)
export CHATELAINE_DRILL="$debug/chatelaine-drill" CHATELAINE_BIN="$debug"

if [ -n "$all" ]; then
  export CHATELAINE_SLOW=1
else
  echo "skipped without --all: every byte of the tamper matrix, 10,000 simulated crashes, 200 power cuts"
  echo "skipped without --all: memory and crashes with test builds, and their controls"
  echo "skipped without --all: fuzzers (Tests/Fuzz/run.sh runs them for 10 s each)"
fi
# Two halves side by side, which `swift test` would have wait for each other.
units=("$debug/chatelainePackageTests.xctest" --testing-library swift-testing)
service='^(KeyServiceTests|KeyStoreTests|ServiceRulesTests|ChatelaineClientTests)\.'
run "unit tests: store, service and client" "${units[@]}" --filter "$service"
run "unit tests: all others" "${units[@]}" --skip "$service"
[ -z "$all" ] || run "fuzzers" Tests/Fuzz/run.sh 120
run "service: the master key rotated" Tests/service/master-rotation.py
run "command line: a running service" Tests/cli/service.sh "$debug"
run "service: bad inputs and abuse" Tests/service/rows.py
run "service: no secret stays in memory" Tests/service/memory.py
run "command line: keyring and envelope" Tests/cli/keyring.sh "$debug/chatelaine"
run "command line: init and check" Tests/cli/init.sh "$debug"
run "command line: locks, files and owners" Tests/cli/places.sh "$debug"
run "command line: audit" Tests/cli/audit.sh "$debug/chatelaine"
run "log: an independent verifier agrees" Tests/Independent/agree.py
run "log faults" Tests/faults/log-faults.sh
run "power cuts" Tests/faults/power-cut.sh "$([ -n "$all" ] && echo 200 || echo 20)"
run "power cuts, control that must lose" Tests/faults/power-cut.sh --control 5
run "service: every method" Tests/service/smoke.py
run "service: an exact entry for every call" Tests/service/exact.py
run "service: the HTTP door, and Vault's own client at it" Tests/service/http-door.py
run "service: both doors on TCP with TLS" Tests/service/tls.py
run "service: tokens of requests" Tests/service/tokens.py
run "service: receipts, warnings, passed sockets" Tests/service/doors.py
run "service: what is kept back, and what is told" Tests/service/reserves.py
run "service: what does not belong together" Tests/service/swaps.py
run "service: a log that was rewritten" Tests/service/rewritten.py
run "service: a backup restored" Tests/service/rollback.py
run "service: signed heads" Tests/service/heads.py
run "service: proofs, and logs against heads that were kept" Tests/service/proofs.py
run "service: proofs that callers ask for" Tests/service/receipts.py
run "service: heads that outside witnesses cosign" Tests/service/witness.py
run "service: segments shipped for good" Tests/service/ship.py
run "service: tenants' whole histories" Tests/service/histories.py
run "service: reviewers read the log" Tests/service/log-reads.py
run "service: random inputs" Tests/service/random-inputs.py
run "service: keys disabled under load" Tests/service/revocation.py
run "service: no reply before its sync" Tests/service/order.py
run "service: killed under load" Tests/service/kills.py
run "service: power cuts under load" Tests/service/power-cuts.py
run "service: power cuts, control that must lose" Tests/service/power-cuts.py --control
run "service: a sync that fails" Tests/service/eio.py
run "service: a log that cannot be written" Tests/service/full-disk.py
run "service: no secret in any file" Tests/service/at-rest.py
run "service: a crash prints no secret" Tests/service/crash.py
[ -z "$all" ] || run "service: memory and crashes, with test builds and controls" Tests/service/test-builds.sh
while [ "${#step_name[@]}" != 0 ]; do finish_one; done
run_seconds

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
