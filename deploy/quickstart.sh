#!/usr/bin/env bash
# From a fresh checkout to the main job on real files: installs what is missing, builds, starts the service in a
# temporary directory, encrypts and decrypts for two tenants, rotates a key and the master key, and checks the log
# offline. Leaves the checkout as it was; everything it made goes away with it.
#
# As root, the service runs as the user `daemon` and the application as `nobody`; else both are you.
set -eu
cd "$(dirname "$0")/.."
source deploy/requirements.sh
require_swift
require "${build_packages[@]}"

echo "building (some minutes the first time, seconds after that) ..."
build=(swift build -c release --static-swift-stdlib)
for product in chatelaine chatelained; do "${build[@]}" --product "$product"; done
bin=$("${build[@]}" --show-bin-path)

place=$(mktemp -d)
service_pid=
finish() {
  [ -z "$service_pid" ] || { kill "$service_pid" && wait "$service_pid"; } 2>/dev/null || true
  rm -rf "$place"
}
trap finish EXIT
chmod 755 "$place"
mkdir "$place/bin" "$place/service" "$place/app"
cp "$bin/chatelaine" "$bin/chatelained" "$place/bin/"
operator=() application=() app_user=()
service_user=$(id -un) application_user=$(id -un)
if [ "$(id -u)" = 0 ]; then
  as() { echo setpriv --reuid="$1" --regid="$(id -g "$1")" --clear-groups --; }
  read -ra operator <<<"$(as daemon)"
  read -ra application <<<"$(as nobody)"
  app_user=(--app-user nobody)
  service_user=daemon application_user=nobody
  chown daemon "$place/service"
  chown nobody "$place/app"
fi
export HOME="$place"
house=$place/service/house
step=0
say() { step=$((step + 1)); echo; echo "$step. $*"; }
operate() { "${operator[@]}" "$place/bin/chatelaine" "$@" --config "$house/chatelaine.yaml"; }
server_uid=$(id -u "$service_user")
apply() { "${application[@]}" "$place/bin/chatelaine" "$@" --socket "$house/run/data.sock" --server-uid "$server_uid"; }
indent() { sed "s|$place/||g; s/^/   /"; }
# must_fail COMMAND...: shows the refusal; anything else ends the script.
must_fail() { if "$@" >"$place/refusal" 2>&1; then echo "   NOT REFUSED"; exit 1; else indent <"$place/refusal"; fi; }

say "a master key, a store, a log and a policy"
"${operator[@]}" "$place/bin/chatelaine" init "$house" "${app_user[@]}" | indent

say "the service, as user $service_user"
"${operator[@]}" "$place/bin/chatelained" --config "$house/chatelaine.yaml" 2>"$place/service.log" &
service_pid=$!
for _ in $(seq 200); do [ -S "$house/run/admin.sock" ] && break; kill -0 "$service_pid" || break; sleep 0.05; done
[ -S "$house/run/admin.sock" ] || { cat "$place/service.log"; exit 1; }
indent <"$place/service.log"

say "two tenants, each with a key of its own"
operate tenant create acme | indent
operate tenant create globex | indent
operate key create acme/documents | indent
operate key create globex/fields --suite xchacha20-poly1305 | indent

say "acme: every file of /usr/share/common-licenses, as user $application_user"
files=0 bytes=0 start=$(date +%s%N)
for file in /usr/share/common-licenses/*; do
  [ -f "$file" ] || continue
  apply encrypt acme/documents --binary --context "file=${file##*/}" --in "$file" --out "$place/app/${file##*/}.ch1"
  files=$((files + 1)) bytes=$((bytes + $(stat -L -c %s "$file")))
done
echo "   $files files, $bytes bytes, $((($(date +%s%N) - start) / 1000000)) ms, a process each"

say "globex: every line of /usr/share/zoneinfo/tzdata.zi, each with an entry in the log before its envelope"
lines=/usr/share/zoneinfo/tzdata.zi
[ -f "$lines" ] || lines=/usr/share/common-licenses/GPL-3
start=$(date +%s%N)
apply encrypt globex/fields --lines --in "$lines" --out "$place/app/fields"
apply decrypt globex --lines --in "$place/app/fields" --out "$place/app/fields.back"
milliseconds=$((($(date +%s%N) - start) / 1000000)) count=$(wc -l <"$lines")
cmp "$lines" "$place/app/fields.back"
echo "   $count lines there and back in $milliseconds ms: $((count * 2000 / milliseconds)) a second; the same bytes"

say "globex asks for what is acme's, and acme forgets the context"
must_fail apply decrypt globex --context file=GPL-3 --in "$place/app/GPL-3.ch1" --out "$place/app/stolen"
must_fail apply decrypt acme --in "$place/app/GPL-3.ch1" --out "$place/app/stolen"
[ ! -e "$place/app/stolen" ] && echo "   and no file was made"

say "acme's key is rotated; what was encrypted before still opens, nothing is encrypted anew"
operate key rotate acme/documents | indent
for file in "$place"/app/*.ch1; do
  name=$(basename "$file" .ch1)
  apply decrypt acme --context "file=$name" --in "$file" --out "$place/app/back"
  cmp "$place/app/back" "/usr/share/common-licenses/$name"
done
echo "   $files files decrypted, the same bytes"
apply rewrap acme --context file=GPL-3 --in "$place/app/GPL-3.ch1" --out "$place/app/moved.ch1" --binary
"$place/bin/chatelaine" envelope inspect "$place/app/moved.ch1" | indent

say "the master key is rotated: a new version, its second copy checked, every tenant's root rewrapped"
operate master rotate | indent
"${operator[@]}" cp -a "$house/keyring" "$place/service/copy"
"${operator[@]}" "$place/bin/chatelaine" keyring check "$place/service/copy" | indent
value=$("${operator[@]}" "$place/bin/chatelaine" keyring check "$place/service/copy" | awk '/^master-000002/ { print $3 }')
must_fail operate master retire 1
operate master commit "$value" --wait | indent
for file in "$place"/app/*.ch1; do
  name=$(basename "$file" .ch1)
  [ "$name" = moved ] && continue
  apply decrypt acme --context "file=$name" --in "$file" --out "$place/app/back"
  cmp "$place/app/back" "/usr/share/common-licenses/$name"
done
echo "   $files files of before decrypted, the same bytes"
operate master status | indent

say "the service says of itself"
operate status | grep -v '^held' | indent

say "the log, recomputed from its bytes without keys and without the service"
"${operator[@]}" "$place/bin/chatelaine" audit verify --log "$house/log" | indent
"${operator[@]}" "$place/bin/chatelaine" audit show --log "$house/log" --outcome failed | indent

say "stopped; one changed byte is found"
kill "$service_pid"; wait "$service_pid" && service_pid=
cp -r "$house/log" "$place/changed"
segment=$(find "$place/changed" -name '*.seg' | sort | head -n 1)
printf '\377' | dd of="$segment" bs=1 seek=4200 conv=notrunc status=none
must_fail "$place/bin/chatelaine" audit verify --log "$place/changed"

echo
echo "done: everything above was made in a temporary directory, which is gone now"
echo "your own: chatelaine init DIRECTORY, then chatelained --config DIRECTORY/chatelaine.yaml"
