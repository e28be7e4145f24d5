#!/usr/bin/env bash
# From a fresh checkout to the main job on real files: installs what is missing, builds in release, makes a
# master key, a store and a log in a temporary directory, encrypts and decrypts, rotates, and checks the log
# offline. Leaves the checkout as it was; everything it made goes away with it.
set -eu
cd "$(dirname "$0")/.."
source deploy/requirements.sh
require_swift
require "${build_packages[@]}"

echo "building (a few minutes the first time, seconds after that) ..."
for product in chatelaine chatelained chatelaine-tour; do
  swift build -c release --product "$product"
done
bin=$(swift build -c release --show-bin-path)
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

"$bin/chatelaine-tour" --directory "$directory"

echo "8. keyring, store and log, checked against each other as a start would:"
cat >"$directory/policy.yaml" <<'POLICY'
version: 1
rules: []
POLICY
cat >"$directory/chatelaine.yaml" <<'CONFIGURATION'
version: 1
keyring: {directory: keyring}
store: store/keys.sqlite
log: {directory: log, name: tour}
policy: policy.yaml
data-socket: {path: data.sock, mode: "0600"}
admin-socket: {path: admin.sock}
CONFIGURATION
"$bin/chatelained" --check --allow-root --config "$directory/chatelaine.yaml" | grep -v '^held' | sed 's/^/   /'
echo "9. the log, recomputed from its bytes without keys and without the service:"
"$bin/chatelaine" audit verify --log "$directory/log" | sed 's/^/   /'
echo "10. what the log says of the refused decryption and of the rotation:"
{ "$bin/chatelaine" audit show --log "$directory/log" --outcome failed
  "$bin/chatelaine" audit show --log "$directory/log" --operation key-rotate; } | sed 's/^/   /'
echo "11. one changed byte is found:"
segment=$(find "$directory/log" -name '*.seg' | sort | head -n 1)
printf '\377' | dd of="$segment" bs=1 seek=4200 conv=notrunc status=none
"$bin/chatelaine" audit verify --log "$directory/log" 2>&1 | sed "s|$directory/||; s/^/   /" || true
echo "done: everything above was made in a temporary directory, which is gone now"
