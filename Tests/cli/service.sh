#!/bin/bash
# The commands that talk to a running service: what they print, exit codes, and what is left on disk when they fail.
# Usage: Tests/cli/service.sh FOLDER-OF-chatelaine-AND-chatelained
set -u
bin=$(realpath "${1:?usage: service.sh FOLDER-OF-chatelaine-AND-chatelained}")
work=$(mktemp -d) && cd "$work" || exit 1
service=
trap '[[ -n $service ]] && kill "$service" 2>/dev/null; chmod -R u+rwX "$work"; rm -rf "$work"' EXIT
passed=0 failed=0

# expect CODE PATTERN COMMAND...: runs it; its exit code is CODE and PATTERN (extended regex), if any, is in what it says.
expect() {
  local code=$1 pattern=$2 got; shift 2
  "$@" >out 2>err <"${input:-/dev/null}"; got=$?
  cat err >>out
  if [[ $got =~ ^($code)$ ]] && { [[ -z $pattern ]] || grep -qaE -- "$pattern" out; }; then passed=$((passed + 1)); return; fi
  failed=$((failed + 1)); echo "NOT OK ($got, not $code, or no '$pattern'): $*"; sed 's/^/    /' out | head -n 5
}
refuse() { # as expect, and no file is made or changed, and it says one line
  local before; before=$(picture)
  expect "$@"
  check "nothing changes: ${*:3}" "$before" "$(picture)"
  check "one sentence: ${*:3}" 1 "$(grep -c '' err)"
}
picture() { find files -mindepth 1 -printf '%p %m %i %s %T@\n' | sort; }
check() { if [[ $2 == "$3" ]]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "NOT OK $1: '$2' is not '$3'"; fi; }
c() { "$bin/chatelaine" "$@"; }
start() {
  "$bin/chatelained" --config d/chatelaine.yaml --allow-root >service.out 2>&1 & service=$!
  for _ in $(seq 200); do c status >/dev/null 2>&1 && return; sleep 0.05; done
  echo "NOT OK the service does not start"; cat service.out; exit 1
}
stop() { kill "$service"; wait "$service" 2>/dev/null; service=; }

mkdir files
c init d >/dev/null || exit 1
export CHATELAINE_SOCKET=$work/d/run/data.sock CHATELAINE_ADMIN_SOCKET=$work/d/run/admin.sock
refuse 69 '^chatelaine: CONNECT_FAILED: There is no connection to .*admin.sock: there is no such socket, is the service running\?$' c status
start

# Where the service is, and who it must be.
expect 0 '^log .* accepting$' c status
expect 0 '^\{"version":"[^"]+","started":"20[^"]*Z","processId":[0-9]+,"log":\{' c status --json
expect 0 '"growthSince":"20[^"]*Z","reserveBytes":[1-9]' c status --json
expect 0 '^reserve   [0-9]+ bytes written ahead' c status
expect 0 '^service ' env -u CHATELAINE_ADMIN_SOCKET "$bin/chatelaine" status --config d/chatelaine.yaml
expect 0 '^service ' env -u CHATELAINE_ADMIN_SOCKET "$bin/chatelaine" status --admin-socket d/run/admin.sock --server-uid "$(id -u)"
expect 64 'CHATELAINE_ADMIN_SOCKET' env -u CHATELAINE_ADMIN_SOCKET "$bin/chatelaine" status
expect 64 'CHATELAINE_SOCKET' env -u CHATELAINE_SOCKET "$bin/chatelaine" encrypt acme/pay
refuse 77 '^chatelaine: WRONG_SERVER: The socket is served by uid [0-9]+, not by uid 4242, so nothing was sent' c status --server-uid 4242

if [[ $(id -u) == 0 ]]; then
  expect 77 '^chatelaine: CONNECT_FORBIDDEN: .*admin.sock: you may not use this socket, or a directory above it\.$' \
    setpriv --reuid=65534 --regid=65534 --clear-groups "$bin/chatelaine" status --server-uid 0
fi

# Something else that answers, with a message in which nothing is.
python3 -c 'import socket, struct, sys
listener = socket.socket(socket.AF_UNIX); listener.bind(sys.argv[1]); listener.listen()
while True:
    peer = listener.accept()[0]
    count, stream = struct.unpack(">II", peer.recv(10, socket.MSG_WAITALL)[:8])
    peer.recv(count, socket.MSG_WAITALL)
    peer.sendall(struct.pack(">IIBB", 0, stream, 2, 0))' empty.sock & empty=$!
for _ in $(seq 200); do [[ -S empty.sock ]] && break; sleep 0.02; done
for command in status 'status --json' 'master status'; do
  refuse 76 '^chatelaine: MALFORMED_REPLY: ' c $command --admin-socket empty.sock
done
kill $empty; wait $empty 2>/dev/null

# Tenants and keys.
expect 0 '^created acme$' c tenant create acme
expect 0 '^\{"tenant":"beta","receipt":\{"logId":"[0-9a-f]{32}","epoch":1,"sequence":[0-9]+,' c tenant create beta --json
refuse 73 '^chatelaine: CONFLICT: .*request [0-9a-f]{32}' c tenant create acme
refuse 64 'INVALID_REQUEST' c tenant create ACME
expect 0 '^acme  20[^ ]*Z  master v1$' c tenant list
check 'both tenants' 'acme beta' "$(c tenant list | cut -d' ' -f1 | xargs)"
expect 0 '^\{"tenant":"acme","created":"20[^"]*Z","masterVersion":1,"frozen":false\}$' c tenant list --json
expect 0 '^created acme/pay: version 1$' c key create acme/pay
expect 0 '"tenant":"acme","key":"x","version":1,"receipt":' c key create acme/x --suite xchacha20-poly1305 --json
expect 0 '^created beta/pay' c key create beta/pay
refuse 73 'CONFLICT' c key create acme/pay
refuse 66 'NOT_FOUND' c key create gamma/pay
expect 64 'pay' c key create pay
expect 0 '^acme/pay  v1  enabled  aes-256-gcm  20' c key list acme
expect 0 '"key":"x","keyId":"[0-9a-f]{32}","suite":"xchacha20-poly1305","enabled":true,"currentVersion":1' c key list acme --json

# Blobs: both forms, files and pipes, empty and at the limit.
printf '4111 1111 1111 1111' >card
expect 0 '' c encrypt acme/pay --in card --out files/card.ch1 --context table=cards --context column=no
check 'text form' 1 "$(grep -cE '^ch1\.[A-Za-z0-9_-]+$' files/card.ch1)"
expect 0 '^4111 1111 1111 1111$' c decrypt acme --in files/card.ch1 --context column=no --context table=cards
expect 0 '' c decrypt acme --in files/card.ch1 --out files/card --context table=cards --context column=no
check 'decrypted to a file' '4111 1111 1111 1111 600' "$(cat files/card) $(stat -c %a files/card)"
check 'a pipe each way' '4111 1111 1111 1111' "$(c encrypt acme/x <card | c decrypt acme)"
expect 0 '' c encrypt acme/pay --binary --in card --out files/card.bin
check '96 bytes more' $((19 + 96)) "$(stat -c %s files/card.bin)"
expect 0 '4111' c decrypt acme --in files/card.bin
expect 0 '^AES|suite +AES-256-GCM' c envelope inspect files/card.bin
expect 0 '^\{"envelope":"ch1\.[^"]+","receipt":\{' c encrypt acme/pay --in card --json
expect 0 '^\{"plaintextBase64":"NDExMSAxMTExIDExMTEgMTExMQ==","receipt":\{' c decrypt acme --in files/card.bin --json
expect 0 '^\{"out":"files/j","receipt":\{' c encrypt acme/pay --in card --out files/j --json
check 'an empty file' 0 "$(c encrypt acme/pay </dev/null | c decrypt acme | wc -c)"
head -c 1048576 /dev/urandom >most; { cat most; echo; } >over
check '1 MiB' "$(sha256sum <most)" "$(c encrypt acme/pay --in most | c decrypt acme | sha256sum)"
check '1 MiB, binary' "$(sha256sum <most)" "$(c encrypt acme/x --binary --in most | c decrypt acme | sha256sum)"
refuse 65 'LIMIT_EXCEEDED: one request carries at most 1048576 bytes.*data-key issue' c encrypt acme/pay --in over --out files/card

# What the log says of it.
id=$(printf '%032x' 77)
expect 0 '' c encrypt acme/pay --in card --out files/tagged --actor 'user 7' --purpose checkout --request-id "$id"
expect 0 "encrypt ok acme/pay v1 .* request=$id actor=\"user 7\" purpose=checkout$" c audit show --log d/log --request-id "$id"
forged="batch rule=r items=1 request=$(printf '1%.0s' {1..32})"
expect 0 '' c encrypt acme/pay --in card --out files/tagged --actor "$forged"
c encrypt acme/pay --in card --out files/tagged --actor '</td><script>x</script>\"' >/dev/null
c decrypt beta --in files/tagged --actor '</td><script>x</script>' >/dev/null 2>&1
c audit report --log d/log --out page.html >/dev/null; check 'an actor is no markup of a report' '0 1' "$(grep -ci '<script' page.html) $(grep -c '&lt;script' page.html)"
c audit show --log d/log >shown; check 'an actor forges no request' 0 "$(grep -cF "${forged##* }" shown)"
check 'the control: as it was given it is found' 1 "$(c audit show --log d/log --json | sed 's/"requestId".*//' | grep -cF "${forged##* }")"
expect 64 '32 hexadecimal digits' c encrypt acme/pay --request-id 7
id=$(printf '%032X' 43981)
expect 0 '' c encrypt acme/pay --in card --out files/tagged --request-id "$id"
expect 0 "request=${id,,}" c audit show --log d/log --request-id "$id"
expect 64 'Usage: chatelaine encrypt ' env -u CHATELAINE_SOCKET "$bin/chatelaine" encrypt acme/pay --in card
expect 64 'Usage: chatelaine key list ' env -u CHATELAINE_ADMIN_SOCKET "$bin/chatelaine" key list acme
expect 64 'Usage: chatelaine init ' c init other --app-user nosuch
expect 73 'CONFLICT: No master key version waits' c master commit "$(printf '%064d' 0 | tr 0 A)"
expect 64 'a key twice' c encrypt acme/pay --context a=1 --context a=2
expect 64 'k=v' c encrypt acme/pay --context a

# Refusals leave the old file as it was, and no file where none was.
cp files/card.ch1 files/kept
for out in files/kept files/new; do
  refuse 65 '^chatelaine: DECRYPTION_FAILED: .*\(request [0-9a-f]{32}\)$' c decrypt beta --in files/card.ch1 --context table=cards --context column=no --out $out
  refuse 65 'DECRYPTION_FAILED' c decrypt acme --in files/card.ch1 --context table=cards --out $out
  refuse 65 'DECRYPTION_FAILED' c decrypt acme --in files/card.ch1 --context table=cards --context column=No --out $out
  refuse 65 'DECRYPTION_FAILED' c decrypt acme --in card --out $out
  refuse 66 'NOT_FOUND' c encrypt acme/none --in card --out $out
  refuse 66 'NOT_FOUND' c encrypt gamma/pay --in card --out $out
  refuse 66 'none: it cannot be opened' c encrypt acme/pay --in none --out $out
done
for at in 0 3 20 40 80 100 114; do
  cp files/card.bin bent; printf "$(printf '\\x%02x' $(($(od -An -tu1 -j $at -N 1 bent) ^ 1)))" | dd of=bent bs=1 seek=$at conv=notrunc status=none
  refuse 65 'DECRYPTION_FAILED' c decrypt acme --in bent --out files/new
done
sed 's/.$/!/' files/card.ch1 >bent; refuse 65 'DECRYPTION_FAILED: This is not the text form of an envelope \(character\)' c decrypt acme --in bent --out files/new

# Where a file cannot or must not be put.
refuse 73 'No such file or directory' c encrypt acme/pay --in card --out files/none/x
refuse 73 'names a directory' c encrypt acme/pay --in card --out files/
ln -s kept files/link; refuse 73 'files/link: it is a link' c encrypt acme/pay --in card --out files/link
long=$(printf 'ä%.0s' $(seq 127)); mkdir wide
expect 0 '' c encrypt acme/pay --in card --out "wide/$long"
expect 0 '4111' c decrypt acme --in "wide/$long"
check 'a name of 254 bytes, and nothing beside it' "$long" "$(ls wide)"
refuse 73 'File name too long' c encrypt acme/pay --in card --out "wide/${long}ä"
mkfifo files/pipe; refuse 73 'device' c encrypt acme/pay --in card --out files/pipe
refuse 73 '/dev/null: it is a link, a directory or a device' c encrypt acme/pay --in card --out /dev/null
check '/dev/null is a device still' c "$(stat -c %A /dev/null | cut -c1)"
before=$(picture)
expect 74 'File too large' bash -c 'ulimit -f 1; trap "" XFSZ; exec "$@"' - "$bin/chatelaine" encrypt acme/pay --in most --out files/kept
check 'a full disk changes nothing' "$before" "$(picture)"
expect 74 'standard output: it cannot be written' bash -c '"$@" >/dev/full' - "$bin/chatelaine" encrypt acme/pay --in card

# Lines: real input, there and back; order, empty lines, a last line without its new line.
zone=/usr/share/zoneinfo/tzdata.zi
[[ -r $zone ]] || { seq 5000 >zone; zone=zone; }
expect 0 '^encrypted [0-9]+ lines, [0-9]+ bytes in [0-9.e-]+ s: [0-9]+ lines/s$' c encrypt acme/pay --lines --progress --in $zone --out files/zone --context c=zone
check 'an envelope a line' "$(wc -l <$zone)" "$(grep -cE '^ch1\.[A-Za-z0-9_-]+$' files/zone)"
expect 0 '' c decrypt acme --lines --in files/zone --out files/zone.txt --context c=zone
check 'every line as it was' "$(sha256sum <$zone)" "$(sha256sum <files/zone.txt)"
check 'mode' 600 "$(stat -c %a files/zone.txt)"
check 'through pipes' "$(sha256sum <$zone)" "$(c encrypt acme/x --lines <$zone | c decrypt acme --lines | sha256sum)"
check 'batches have an entry each' yes "$([[ $(c audit show --log d/log --operation encrypt-batch 2>/dev/null | wc -l) -lt 40 ]] && echo yes)"
printf 'a\n\n\nb' >edge
check 'empty lines, no last new line' "$(od -c edge)" "$(c encrypt acme/pay --lines <edge | c decrypt acme --lines | od -c)"
check 'no line' '' "$(c encrypt acme/pay --lines </dev/null | c decrypt acme --lines)"
{ head -c 700000 /dev/zero | tr '\0' a; echo; head -c 1048576 /dev/zero | tr '\0' b; echo; echo c; } >long
check 'long lines' "$(sha256sum <long)" "$(c encrypt acme/pay --lines <long | c decrypt acme --lines | sha256sum)"
{ echo a; cat most most | tr -d '\n'; echo; } >longer
refuse 65 'line 2: LIMIT_EXCEEDED' c encrypt acme/pay --lines --in longer --out files/new
{ head -n 3000 files/zone; echo ch1.nonsense; tail -n 5 files/zone; } >broken
refuse 65 '^chatelaine: line 3001: DECRYPTION_FAILED' c decrypt acme --lines --in broken --context c=zone --out files/kept
refuse 65 '^chatelaine: line 1: DECRYPTION_FAILED' c decrypt beta --lines --in files/zone --context c=zone --out files/new
c decrypt acme --lines --context c=zone <broken >shown 2>/dev/null
check 'to a pipe: whole lines up to it' "$(head -n 3000 $zone | sha256sum)" "$(sha256sum <shown)"
c encrypt acme/pay --in edge >two
refuse 64 'line 1: INVALID_REQUEST: The plaintext has new lines inside' c decrypt acme --lines --in two --out files/new
expect 64 'exclude each other' c encrypt acme/pay --lines --binary
# JSON Lines: an object for each line, those that fail too.
printf 'a\nb\nc\n' >three
expect 0 '' c encrypt acme/pay --lines --json --in three --out files/json
check 'an object a line' '1 true 2 true 3 true' "$(sed -E 's/^\{"line":([0-9]+),"ok":([a-z]+),"envelope":"ch1\.[^"]*"\}$/\1 \2/' files/json | paste -sd' ')"
sed -E 's/.*"envelope":"([^"]*)".*/\1/' files/json | sed '2s/.*/ch1.AAAA/' >mended
c decrypt acme --lines --json <mended >shown 2>err; check 'the status of the first that failed' 65 $?
check 'which is named' 1 "$(grep -c '^chatelaine: line 2: DECRYPTION_FAILED' err)"
check 'and the others go on' '{"line":1,"ok":true,"plaintextBase64":"YQ=="} {"line":3,"ok":true,"plaintextBase64":"Yw=="}' "$(grep true shown | paste -sd' ')"
check 'a line that failed' 1 "$(grep -c '^{"line":2,"ok":false,"code":"DECRYPTION_FAILED","sentence":"[^"]*"' shown)"
check 'the control: all of them go through' 0 "$(sed 2d mended | c decrypt acme --lines --json >/dev/null; echo $?)"
check 'rewrapped as objects' 2 "$(sed 2d mended | c rewrap acme --lines --json | grep -c '"ok":true,"envelope":"ch1\.')"
expect 0 '^\{"line":1,"ok":true,"plaintextBase64":"' c decrypt acme --lines --json --in two
# A line that is too long costs that line, however long it is, and what was done before it is not kept back.
{ seq 3000; head -c 1048577 /dev/zero | tr '\0' a; echo; echo end; head -c 5000000 /dev/zero; } >toolong
c encrypt acme/pay --lines --json <toolong >shown 2>err; check 'a line that is too long: the status' 65 $?
check 'a line that is too long: which' '3001 false 3002 true 3003 false' \
  "$(sed -nE 's/^\{"line":(300[1-9]),"ok":([a-z]+),"(envelope|code":"LIMIT_EXCEEDED).*/\1 \2/p' shown | paste -sd' ')"
check 'an object a line, too' '3003 3001' "$(grep -c . shown) $(grep -c '"ok":true,"envelope"' shown)"
check 'it is named' 1 "$(grep -c '^chatelaine: line 3001: LIMIT_EXCEEDED: A line has at most 1048576 bytes' err)"
c encrypt acme/pay --lines <toolong >shown 2>err; check 'without --json it ends there' 65 $?
check 'and what was done is printed' 3000 "$(grep -c '^ch1\.' shown)"
check 'rewrapped lines: the same' 'false true' "$({ head -c 1500000 /dev/zero; echo; head -n1 shown; } | c rewrap acme --lines --json 2>/dev/null |
  sed -E 's/.*"ok":([a-z]+).*/\1/' | paste -sd' ')"
c decrypt acme --lines --json <mended >shown 2>/dev/null
check 'a line that failed names its call, and the log has it' 1 \
  "$(c audit show --log d/log --request-id "$(sed -nE 's/.*"line":2,.*"requestId":"([0-9a-f]{32})".*/\1/p' shown; :)" 2>/dev/null | wc -l)"
mkfifo talk answers
c encrypt acme/pay --lines <talk >answers & talker=$!
exec 7>talk 8<answers; echo one >&7; read -r -t 20 -u 8 line
check 'a line is answered before the next one comes' one "$(c decrypt acme <<<"$line")"
exec 7>&- 8<&-; wait $talker
c encrypt acme/pay --lines <talk >answers & talker=$!
exec 7>talk 8<answers; printf 'two\nhal' >&7; line=; read -r -t 20 -u 8 line
check 'a whole line is answered while half of the next one is there' two "$(c decrypt acme <<<"$line")"
printf 'f\nlast' >&7; line=; read -r -t 20 -u 8 line
check 'and then that one' half "$(c decrypt acme <<<"$line")"
exec 7>&-; read -r -t 20 -u 8 line; check 'the last has no new line' last "$(c decrypt acme <<<"$line")"
exec 8<&-; wait $talker
c encrypt acme/pay --lines --json <talk >answers & talker=$!
exec 7>talk 8<answers; { head -c 1500000 /dev/zero; printf '\nthree\nx'; } >&7
line=; read -r -t 20 -u 8 line; check 'one that is too long, too' '{"line":1,"ok":false' "${line%%,\"code*}"
line=; read -r -t 20 -u 8 line; check 'and the one behind it' '{"line":2,"ok":true' "${line%%,\"envelope*}"
exec 7>&-; read -r -t 20 -u 8 line; exec 8<&-; wait $talker

# Data keys.
expect 0 '^wrapped  ch1\.' c data-key issue acme/pay --context f=1
check 'the key unwraps to itself' "$(sed -n 's/^key *//p' out)" "$(sed -n 's/^wrapped *//p' out | c data-key unwrap acme --context f=1)"
expect 0 '^wrapped  ch1\.' c data-key issue acme/pay --wrapped-only; check 'no key' 0 "$(grep -c '^key' out)"
expect 0 '' c data-key issue acme/pay --key-out files/key --out files/wrapped
check '32 bytes, its owner'"'"'s' '32 600' "$(stat -c '%s %a' files/key)"
expect 0 "$(od -An -tx1 files/key | tr -d ' \n')" c data-key unwrap acme --in files/wrapped
expect 0 '' c data-key unwrap acme --in files/wrapped --key-out files/again
check 'the same key' "$(sha256sum <files/key)" "$(sha256sum <files/again)"
expect 0 '^\{"wrapped":"ch1[^"]*","keyHex":"[0-9a-f]{64}","receipt"' c data-key issue acme/pay --json
expect 0 '^\{"keyHex":"[0-9a-f]{64}","receipt"' c data-key unwrap acme --in files/wrapped --json
refuse 65 'DECRYPTION_FAILED' c data-key unwrap beta --in files/wrapped --key-out files/again
refuse 65 'This is not a wrapped data key' c data-key unwrap acme --in files/card.bin
expect 64 'exclude each other' c data-key issue acme/pay --wrapped-only --key-out files/k
expect 64 'must name two files' c data-key issue acme/pay --out files/same --key-out files/same
expect 64 'must name two files' c data-key issue acme/pay --out files/same --key-out ./files/../files/same
check 'and no file came of it' 0 "$(ls -A files | grep -c same)"

# Arguments are taken as they are, or not at all.
expect 64 'is not UTF-8, and nothing was done' c encrypt acme/pay --in card --context k=$'\xff'
expect 64 'is not UTF-8, and nothing was done' c encrypt acme/pay --in card --out files/$'out\xfe'
check 'and no file came of it either' 0 "$(ls -A files | grep -c ^out)"

# Rotation and rewrap.
expect 0 '^rotated acme/pay: version 2 is current$' c key rotate acme/pay
expect 0 '"version":3,"receipt"' c key rotate acme/pay --json
expect 0 '4111' c decrypt acme --in files/card.bin
expect 0 '' c rewrap acme --in files/card.bin --binary --out files/card3
expect 0 '^version +3$' c envelope inspect files/card3
expect 0 '4111' c decrypt acme --in files/card3
expect 0 '' c rewrap acme --in files/card3 --binary --out files/card3b
check 'current already: the same bytes' "$(sha256sum <files/card3)" "$(sha256sum <files/card3b)"
expect 0 '^ch1\.' c rewrap acme --in files/wrapped
check 'a rewrapped data key is the same key' "$(od -An -tx1 files/key | tr -d ' \n')" "$(c data-key unwrap acme <out)"
expect 0 '' c rewrap acme --lines --in files/zone --out files/zone3 --context c=zone
check 'rewrapped lines' "$(sha256sum <$zone)" "$(c decrypt acme --lines --in files/zone3 --context c=zone | sha256sum)"
check 'all of them moved' 0 "$(comm -12 <(sort files/zone) <(sort files/zone3) | wc -l)"
refuse 65 'line 3001: DECRYPTION_FAILED' c rewrap acme --lines --in broken --context c=zone --out files/new
refuse 65 'DECRYPTION_FAILED' c rewrap beta --in files/card.bin --out files/new

# Disabling and enabling.
expect 0 '^disabled acme/pay$' c key disable acme/pay
refuse 77 'KEY_DISABLED' c encrypt acme/pay --in card --out files/new
refuse '77|65' 'KEY_DISABLED|DECRYPTION_FAILED' c decrypt acme --in files/card.bin --out files/new
expect 0 '^acme/pay  v3  DISABLED' c key list acme
expect 0 '"key":"pay","receipt"' c key enable acme/pay --json
expect 0 '4111' c decrypt acme --in files/card.bin

# Freezing a whole tenant, and ending that.
expect 0 '^frozen acme$' c tenant freeze acme
refuse 77 'TENANT_FROZEN.*frozen' c encrypt acme/pay --in card --out files/new
refuse 77 'TENANT_FROZEN' c key rotate acme/pay
expect 0 '^acme .*  frozen$' c tenant list
expect 0 '^acme/pay ' c key list acme
expect 0 '"tenant":"acme","receipt"' c tenant unfreeze acme --json
expect 0 '4111' c decrypt acme --in files/card.bin
refuse 66 'NOT_FOUND' c tenant freeze nobody

# Somebody else in the service's place learns nothing.
if [[ $(id -u) == 0 ]] && command -v python3 >/dev/null; then
  mkdir -m 0777 false; chmod 0711 "$work"
  python3 - false/sock <<'PYTHON' & impostor=$!
import os, socket, sys
os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); s.settimeout(30)
c, _ = s.accept(); c.settimeout(5)
open("false/got", "wb").write(c.recv(65536))
PYTHON
  for _ in $(seq 100); do [[ -S false/sock ]] && break; sleep 0.05; done
  refuse 77 'WRONG_SERVER: The socket is served by uid 65534' c encrypt acme/pay --in card --socket false/sock --out files/new
  wait $impostor; check 'an impostor got no byte' 0 "$(stat -c %s false/got)"
fi

# A signal in the middle of it: nothing is left beside the place, and the command ends by that signal.
interrupted() { # SIGNAL NUMBER COMMAND...: it has read a line and waits for the next
  local signal=$1 number=$2 before; shift 2
  rm -f slow; mkfifo slow; before=$(picture)
  "$@" "$bin/chatelaine" decrypt acme --lines --in slow --out files/kept --context c=zone 2>err & client=$!
  exec 9<>slow; head -n 1 files/zone >&9
  for _ in $(seq 100); do [[ -n $(find /proc/$client/fd -lname '*/files/*' 2>/dev/null) ]] && break; sleep 0.05; done
  sleep 0.3; kill -"$signal" $client; wait $client 2>/dev/null; check "ended by SIG$signal" $((128 + number)) $?
  exec 9>&-
  check "SIG$signal: nothing is left ($*)" "$before" "$(picture)"
}
for one in HUP:1 INT:2 QUIT:3 KILL:9 TERM:15; do interrupted ${one%:*} ${one#*:} env --default-signal; done
rm slow

# More keys in a batch than the service has at hand: the batch is split.
stop; cp d/chatelaine.yaml kept.yaml; echo 'keys-at-hand: 4' >>d/chatelaine.yaml; start
for key in k1 k2 k3 k4 k5; do c key create acme/$key >/dev/null; echo "under $key" | c encrypt acme/$key --lines; done >many
expect 0 '^under k5$' c decrypt acme --lines --in many
check 'all of them' 5 "$(grep -c '^under k' out)"
check 'as objects' 5 "$(c decrypt acme --lines --json <many | grep -c '"ok":true')"
stop; cp kept.yaml d/chatelaine.yaml; start

# A version that cannot be read has no date.
printf x >d/keyring/master-000009.key; chmod 0400 d/keyring/master-000009.key
expect 0 '^v9  unknown   \(key check value: [^)]*\)  FILE ' c master status
check 'nor in JSON' 0 "$(c master status --json | grep -c 1970)"
expect 0 '^v1  primary   20[^ ]*Z  ' c master status
rm -f d/keyring/master-000009.key

# Whoever reads what is printed goes away.
gone() { (sleep 0.3; exec "$@") | true; return "${PIPESTATUS[0]}"; }
full() { "$@" >/dev/full; }
for command in 'key list acme' 'tenant list' status; do
  expect 74 'standard output cannot be written: whoever read it went away' gone "$bin/chatelaine" $command
  expect 74 'standard output cannot be written: its disk may be full' full "$bin/chatelaine" $command
done

# Nobody answers any more.
before=$(picture)
stop
refuse 69 'CONNECT_FAILED' c encrypt acme/pay --in card --out files/kept
refuse 69 'CONNECT_FAILED' c decrypt acme --lines --in files/zone --context c=zone --out files/kept
check 'files are as they were' "$before" "$(picture)"
expect 0 VALID c audit verify --log d/log
start; expect 0 '4111' c decrypt acme --in files/card.bin
mkfifo slow; c encrypt acme/pay --lines --in slow --out files/kept 2>err & client=$!
exec 9>slow; echo first >&9; sleep 0.5; kill -9 "$service"; wait "$service" 2>/dev/null; service=
echo second >&9; exec 9>&-; wait $client; check 'the service dies under it' 69 $?
grep -qE 'CONNECTION_LOST.*\(request [0-9a-f]{32}\)$' err; check 'and it says so, and names the call' 0 $?
check 'files are as they were after that' "$before" "$(picture)"

# Help and completions.
expect 0 'Exit status: 0 done; 64' c encrypt --help
for shell in bash zsh fish; do expect 0 'data-key' c --generate-completion-script $shell; done
expect 0 '' bash -n <(c --generate-completion-script bash)

echo "$passed passed, $failed failed"
[[ $failed == 0 ]]
