#!/bin/bash
# Transcripts of `chatelaine keyring` and `chatelaine envelope inspect`: output, exit code, and what is on disk.
# Usage: Tests/cli/keyring.sh PATH-OF-chatelaine
set -u
chatelaine=$(realpath "${1:?usage: keyring.sh PATH-OF-chatelaine}")
root=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d) && cd "$work" || exit 1
trap 'chmod -R u+rwX "$work"; rm -rf "$work"' EXIT
passed=0 failed=0

# expect CODE PATTERN COMMAND...: runs it; its exit code is CODE and PATTERN (extended regex) is in what it says.
expect() {
  local code=$1 pattern=$2 got; shift 2
  "$@" >out 2>&1 <"${input:-/dev/null}"; got=$?
  if [[ $got == "$code" ]] && grep -qE -- "$pattern" out; then passed=$((passed + 1)); return; fi
  failed=$((failed + 1)); echo "NOT OK ($got, not $code, or no '$pattern'): $*"; sed 's/^/    /' out
}
refuse() { # as expect, and the keyrings are as they were, and it says one line
  local before; before=$(picture)
  expect "$@"
  check "nothing changes: ${*:3}" "$before" "$(picture)"
  check "one sentence: ${*:3}" 1 "$(grep -c '' out)"
}
picture() { find . -path ./out -prune -o -printf '%p %m %u %s %C@\n' 2>/dev/null | grep -vE '^\. ' | sort; cat ring*/* 2>/dev/null | sha256sum; }
check() { if [[ $2 == "$3" ]]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "NOT OK $1: '$2' is not '$3'"; fi; }
k() { "$chatelaine" keyring "$@"; }
cheap=(--seal passphrase --argon2-memory-kib 8192 --argon2-passes 1)
echo 'correct horse battery' >phrase; echo 'wrong horse battery' >wrong; echo short >short

# Making and looking.
expect 0 '^key check value  [0-9a-f]{64}$' k init ring
check modes '700 400' "$(stat -c %a ring ring/master-000001.key | xargs)"
refuse 73 'ring: the directory is not empty' k init ring
expect 0 '^version          2$' k add ring
expect 0 'master-000002.key .* file  ok$' k check ring
expect 0 '"ok":true' k check ring --json
expect 0 '^keyring [0-9a-f]{32}  ring$' k show ring/
expect 0 '^\{"path":"ring","keyringId":"[0-9a-f]{32}","isExample":false,"versions":\[\{"file":"master-000001.key","version":1,"seal":"file","createdNs":"[0-9]+","created":"20[^"]*Z","keyCheckValue":"[0-9a-f]{64}"\},\{' k show ring --json
cp -a ring copy
check 'a second copy has the same key check values' "$(k check ring | tail -n +2)" "$(k check copy | tail -n +2)"
touch ring/notes; expect 0 '^unknown file, left alone: notes$' k check ring; rm ring/notes

# Passphrases.
input=phrase expect 0 '"seal":"passphrase"' k init ring-p "${cheap[@]}" --passphrase-fd 0 --json
input=phrase expect 0 'passphrase \(8192 KiB, 1 passes\)  ok$' k check ring-p --passphrase-fd 0
expect 0 '"argon2MemoryKiB":8192,"argon2Passes":1' k show ring-p --json
expect 0 ok env CREDENTIALS_DIRECTORY="$work" "$chatelaine" keyring check ring-p --passphrase-credential phrase
expect 77 'ring-p/master-000001.key: wrong passphrase' k check ring-p --passphrase-fd 3 3<wrong
refuse 77 'wrong passphrase' k add ring-p --passphrase-fd 3 3<wrong
refuse 65 'ring-q: a passphrase for a new key has at least 12 bytes' k init ring-q "${cheap[@]}" --passphrase-fd 3 3<short
refuse 65 'the passphrase is empty' k init ring-q "${cheap[@]}" --passphrase-fd 0
refuse 66 'CREDENTIALS_DIRECTORY is not set' k init ring-q "${cheap[@]}" --passphrase-credential x
refuse 66 'there is no terminal' setsid "$chatelaine" keyring check ring-p
expect 0 'version          2' k add ring-p --argon2-memory-kib 8192 --argon2-passes 1 --passphrase-fd 3 3<phrase
expect 0 'seal             file' k add ring-p --seal file --passphrase-fd 3 3<phrase
check 'versions of both seals' 3 "$(k check ring-p --passphrase-fd 3 3<phrase | grep -c ' ok$')"
expect 64 'exclude each other' k check ring --passphrase-fd 0 --passphrase-credential x
expect 64 'goes with --seal passphrase' k init ring-q --passphrase-fd 0
expect 64 '8192 to 1048576' k init ring-q --seal passphrase --argon2-memory-kib 8191
expect 64 '1 to 16' k init ring-q --seal passphrase --argon2-passes 17
expect 64 'Unknown option' k init ring-q --passphrase secret
check 'no passphrase by argument or environment' '' "$(k init --help | grep -iE 'passphrase <passphrase>|environment')"

# The terminal: echo off, twice when new.
terminal() { python3 - "$chatelaine" "$@" <<'P'
import os, pty, signal, sys, time, select
# What a shell started in the background ignores, its children would.
signal.signal(signal.SIGINT, signal.SIG_DFL)
answers = sys.argv[2].split(','); pid, fd = pty.fork()
if pid == 0: os.execv(sys.argv[1], [sys.argv[1]] + sys.argv[3:])
seen = b''
def read():
  global seen
  try: seen += os.read(fd, 4096); return True
  except OSError: return False
for answer in answers:
  mark = len(seen)
  while not seen[mark:].rstrip(b' ').endswith((b'Passphrase:', b'again:')) and read(): pass
  os.write(fd, b'\x03' if answer == '^C' else answer.encode() + b'\n')
while read(): pass
status = os.waitpid(pid, 0)[1]
sys.stdout.write(seen.decode().replace('\r', ''))
sys.exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
P
}
expect 0 'The same again:' terminal 'a typed passphrase,a typed passphrase' keyring init ring-t "${cheap[@]}"
check 'the passphrase is not shown' 0 "$(grep -c 'a typed' out)"
expect 0 ' ok$' terminal 'a typed passphrase' keyring check ring-t
expect 65 'the two passphrases differ' terminal 'a typed passphrase,another passphrase' keyring init ring-q "${cheap[@]}"
expect 77 'wrong passphrase' terminal 'another passphrase' keyring check ring-t
expect 130 'Passphrase:' terminal '^C' keyring check ring-t
expect 64 'is a terminal' terminal '' keyring check ring-t --passphrase-fd 0
check 'nothing was made' '' "$(ls -d ring-q 2>/dev/null)"

# Refusals.
refuse 66 'none: there is no such directory' k check none
ln -s ring link; refuse 77 'link: the keyring is a symbolic link' k show link/
refuse 77 'link: the keyring is a symbolic link' k check link/.
refuse 77 'link: the keyring is a symbolic link' k check link/.//./
expect 0 ' ok' k check ring/.
refuse 77 'phrase: a keyring is a directory' k show phrase
refuse 78 "ring: the keyring lies in the store's directory" k check ring --store .
refuse 78 'ring/new: the keyring lies in' k init ring/new --store ring
refuse 78 "the store's directory ring/db lies in the keyring" k add ring --store ring/db
chmod 0750 ring; refuse 77 'ring: the directory has mode 0750' k add ring; chmod 0700 ring
chmod 0440 ring/master-000001.key; refuse 77 'ring/master-000001.key: the file has mode 0440 and was not read' k add ring
expect 77 '"ok":false,"problem":"ring/master-000001.key: the file has mode 0440' k check ring --json
check 'check goes on after a failure' 1 "$(grep -c '"file":"master-000002.key","version":2.*"ok":true' out)"
chmod 0400 ring/master-000001.key
refuse 73 'a/b: the directory above does not exist' k init a/b
before=$(ls -A ring; cat ring/* | sha256sum)
expect 73 'ring: it cannot be written \(File too large\)' \
  bash -o pipefail -c '(ulimit -f 0; trap "" XFSZ; "$@" 2>&1) | cat' - "$chatelaine" keyring add ring
check 'a failed write leaves nothing' "$before" "$(ls -A ring; cat ring/* | sha256sum)"
(umask 0777; expect 0 made k init ring-u; k check ring-u >/dev/null || echo umask); check umask '700 400' "$(stat -c %a ring-u ring-u/* | xargs)"
expect 78 'LD_PRELOAD or LD_AUDIT is set' env LD_PRELOAD=libm.so.6 "$chatelaine" keyring show ring
expect 0 '^keyring' env LD_PRELOAD=libm.so.6 "$chatelaine" keyring show ring --allow-preload

# The example keys.
cp -r "$root/keys-example" ring-x; chmod 755 ring-x; chmod 644 ring-x/*
refuse 77 'ring-x: the directory has mode 0755' k check ring-x
chmod 700 ring-x; chmod 400 ring-x/*; refuse 78 'ring-x/master-000001.key: these are the example keys' k show ring-x
chmod 755 ring-x; chmod 644 ring-x/*
expect 0 'WARNING: these are the EXAMPLE KEYS' k check ring-x --insecure-example-keys
check 'the warning goes to stderr' '' "$(k check ring-x --insecure-example-keys 2>/dev/null | grep WARNING)"
expect 78 'these are not the example keys' k check ring --insecure-example-keys
expect 78 'only opens the example keyring' k add ring-x --insecure-example-keys

# Envelopes, binary and text, alone and local.
expect 66 'nothing: there is no such file' "$chatelaine" envelope inspect nothing
input=phrase expect 65 'malformed: not an envelope' "$chatelaine" envelope inspect
expect 65 'malformed: not an envelope' "$chatelaine" envelope inspect --in phrase
expect 65 'not an envelope \(it is shorter than 96 bytes\)' "$chatelaine" envelope inspect --in phrase
printf 'ch1.AAA!' >text; expect 65 'text form of an envelope \(a character is not of base64url\)' "$chatelaine" envelope inspect text
printf 'ch1.AAAAA' >text; expect 65 'text form of an envelope \(no bytes have a text of that length\)' "$chatelaine" envelope inspect text
printf 'CW\001' >text; expect 65 'not a wrapped key \(it has not 148 bytes\)' "$chatelaine" envelope inspect text
expect 64 'Name the file once' "$chatelaine" envelope inspect phrase --in phrase
python3 - "$root/Tests/Vectors" <<'P'
import json, sys, os, base64
for name in ['envelope', 'local-envelope', 'wrapped-key', 'text']:
  path = f'{sys.argv[1]}/{name}.json'
  if not os.path.exists(path): continue
  for i, v in enumerate(json.load(open(path))['vectors']):
    for key in ('envelope', 'local', 'wrapped', 'text'):
      if v.get(key):
        data = v[key].encode() if key == 'text' else bytes.fromhex(v[key])
        open(f'v-{name}-{key}-{i:03}-{v["expect"]}', 'wb').write(data)
P
inspected=0
for file in v-*; do
  [[ -e $file ]] || continue
  inspected=$((inspected + 1))
  case $file in
    # The envelope first and the wrapped key behind it: what is behind a header is ciphertext to it.
    v-local-envelope-*-007-*) expect 0 'plaintext   208 bytes' "$chatelaine" envelope inspect "$file" ;;
    # What a part of it is by itself.
    v-local-envelope-*-005-*) expect 0 '^kind +wrapped-data-key' "$chatelaine" envelope inspect "$file" ;;
    v-wrapped-key-wrapped-017-*) expect 0 '^plaintext   52 bytes' "$chatelaine" envelope inspect "$file" ;;
    v-envelope-*-malformed* | v-local-*-malformed* | v-wrapped-*-malformed*) expect 65 malformed "$chatelaine" envelope inspect "$file" ;;
    v-wrapped-*-ok | v-wrapped-*-body | v-wrapped-*-key-or-context)
      expect 0 '"kind":"wrapped-(store|tenant|subject|data)-(key|root)","keyId":"[0-9a-f]{32}","keyVersion":[0-9]+,"wrappingKeyId":' \
        "$chatelaine" envelope inspect "$file" --json ;;
    v-*-ok) expect 0 '"suite":"(AES-256-GCM|XChaCha20-Poly1305)"' "$chatelaine" envelope inspect "$file" --json ;;
    *) "$chatelaine" envelope inspect "$file" >out 2>&1; check "$file ends with 0 or 65" 1 $(( $? == 0 || $? == 65 )) ;;
  esac
done
echo "inspected $inspected vectors"
one=$(ls v-wrapped-key-text-*-ok | head -n 1); expect 0 '^kind +wrapped-data-key$' "$chatelaine" envelope inspect "$one"
expect 0 '^wrapped by  [0-9a-f]{32} version [0-9]+$' "$chatelaine" envelope inspect "$one"
expect 0 '^form +text, 148 bytes$' "$chatelaine" envelope inspect "$one"
check 'the text of a data key' '202 ch1.Q1cB' "$(wc -c <"$one") $(head -c 8 "$one")"
expect 0 ', local$' "$chatelaine" envelope inspect "$(ls v-local-envelope-text-*-ok | head -n 1)"
head -c 201 "$one" >cut; expect 65 malformed "$chatelaine" envelope inspect cut
{ cat "$one"; echo AA; } >longer; expect 65 malformed "$chatelaine" envelope inspect longer
expect 66 'cannot be read|there is no such file' "$chatelaine" envelope inspect /nonexistent/x
expect 74 'cannot be read \(Is a directory\)' "$chatelaine" envelope inspect .

echo "$passed passed, $failed failed"
[[ $failed == 0 ]]
