#!/usr/bin/env bash
# Memory and crashes of release builds that leave something out for the test: secret pages that root can read, and the
# controls, in which nothing is wiped and crashes are reported. About 10 minutes on 2 cores; root only.
set -u
cd "$(dirname "$0")/../.." || exit 1
[ "$(id -u)" = 0 ] || { echo "skipped: only root can read another process's memory"; exit 0; }
work=$(mktemp -d) failed=0
# Builds of their own: a program for use must not be left weak by accident.
scratch=${CHATELAINE_TEST_SCRATCH:-.build-tests}
trap 'rm -rf "$work"' EXIT

# build NAME LEFT-OUT: both programs into $work/NAME.
build() {
  local product
  mkdir "$work/$1"
  for product in chatelained chatelaine; do
    CHATELAINE_TEST_BUILD=$2 swift build --quiet -c release --scratch-path "$scratch" --product "$product" || exit 1
    cp "$scratch/release/$product" "$work/$1/"
  done
}
check() {
  echo "-- $*"
  CHATELAINE_BIN=$1 "${@:2}" || failed=$((failed + 1))
}

build readable readable
check "$work/readable" Tests/service/memory.py --example
check "$work/readable" Tests/service/crash.py --example
if "$work/readable/chatelaine" init "$work/house" 2>"$work/why"; then
  echo "FAILED: a test build made a keyring of its own"; failed=$((failed + 1))
elif ! grep -q 'test build (readable-secrets)' "$work/why"; then
  echo "FAILED: a test build does not say what it is: $(cat "$work/why")"; failed=$((failed + 1))
fi
build unwiped readable,unwiped
check "$work/unwiped" Tests/service/memory.py --control
build backtraced readable,backtraced
check "$work/backtraced" Tests/service/crash.py --control
echo "test builds: $failed failed"
[ "$failed" = 0 ]
