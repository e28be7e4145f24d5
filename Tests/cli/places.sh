#!/bin/bash
# What lies where it must not, and who has it: second instances, locks and stores taken away, fifos, files of others,
# checks that must change nothing, output that does not arrive. Usage: Tests/cli/places.sh FOLDER-OF-chatelaine-AND-chatelained
set -u
bin=$(realpath "${1:?usage: places.sh FOLDER-OF-chatelaine-AND-chatelained}")
manual=$(realpath "$(dirname "$0")/../../docs/operations.md")
work=$(mktemp -d) && cd "$work" || exit 1
service=
trap '[[ -n $service ]] && kill "$service" 2>/dev/null; umount "$work/ro" 2>/dev/null; chmod -R u+rwX "$work"; rm -rf "$work"' EXIT
passed=0 failed=0

# expect CODE PATTERN COMMAND...: runs it; it ends by itself with CODE, and PATTERN (extended regex) is in what it says.
expect() {
  local code=$1 pattern=$2 got limit=(timeout -k 5 30); shift 2
  [[ $(type -t "$1") != function ]] || limit=()
  "${limit[@]}" "$@" >out 2>err </dev/null; got=$?
  cat err >>out
  if [[ $got =~ ^($code)$ ]] && grep -qaE -- "$pattern" out; then passed=$((passed + 1)); return; fi
  failed=$((failed + 1)); echo "NOT OK ($got, not $code, or no '$pattern'): $*"; sed 's/^/    /' out | head -n 5
}
check() { if [[ $2 == "$3" ]]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "NOT OK $1: '$2' is not '$3'"; fi; }
unchanged() { check "$1" '' "$(diff <(echo "$before") <(picture d))"; }
c() { "$bin/chatelaine" "$@"; }
serve=("$bin/chatelained" --allow-root --config)
verify=("$bin/chatelained" --check --allow-root --config)
start() {
  "${serve[@]}" "$1" >service.out 2>&1 & service=$!
  for _ in $(seq 200); do c status >/dev/null 2>&1 && return; sleep 0.05; done
  echo "NOT OK the service does not start"; cat service.out; exit 1
}
stop() { kill "${1:--TERM}" "$service"; wait "$service" 2>/dev/null; service=; }
# Every name, with what it is, whose, how large and when last written, and every byte. (Not the time of the last change of
# owner: as root SQLite gives a journal the owner that it has.)
picture() { find "$1" -printf '%p %y %m %u %s %i %T@\n' | sort; find "$1" -type f -exec sha256sum {} + | sort; }

c init d >/dev/null && c init e >/dev/null || exit 1
export CHATELAINE_SOCKET=$work/d/run/data.sock CHATELAINE_ADMIN_SOCKET=$work/d/run/admin.sock

# A check changes nothing, of a closed store, of one that was not closed, as owner and on a disk that cannot be written.
start d/chatelaine.yaml; c tenant create acme >/dev/null; c key create acme/k >/dev/null; stop
rm -f d/log/lock
before=$(picture d)
expect 0 '^all is well$' "${verify[@]}" d/chatelaine.yaml
unchanged 'a check changes nothing'
start d/chatelaine.yaml; c tenant create beta >/dev/null; kill -9 "$service"; wait "$service" 2>/dev/null; service=
check 'the control: it was killed with a journal' yes "$([[ -s d/store/keys.sqlite-wal ]] && echo yes)"
for index in with without; do
  [[ $index == with ]] || rm -f d/store/keys.sqlite-shm
  before=$(picture d)
  expect 0 '^store    generation 4, ' "${verify[@]}" d/chatelaine.yaml
  unchanged "a check of what was killed changes nothing, $index SQLite's index"
done
if [[ $(id -u) == 0 ]] && mkdir ro && mount --bind d ro 2>/dev/null && mount -o remount,bind,ro ro; then
  expect 0 '^all is well$' "${verify[@]}" ro/chatelaine.yaml
  unchanged 'nor where nothing can be written'
  umount ro
else
  echo "skipped: a check on a read-only disk needs root and bind mounts"
fi
before=$(picture d); start d/chatelaine.yaml; stop
[[ $before != "$(picture d)" ]]; check 'the control: a start does change something' $? 0

# One service a log, one a store: whatever is deleted, and whatever configuration leads there.
start d/chatelaine.yaml
expect 75 "Another service \(process $service\) is using the log" "${serve[@]}" d/chatelaine.yaml
rm d/log/lock
expect 75 "Another service \(process $service\) is using the log" "${serve[@]}" d/chatelaine.yaml
expect 75 "Another service \(process $service\) is using the log" "${verify[@]}" d/chatelaine.yaml
cp -a d/log log2
sed "s|directory: log|directory: ../log2|; s|run/|run/second-|" d/chatelaine.yaml >d/second.yaml
expect 75 "Another service \(process $service\) is using the key store" "${serve[@]}" d/second.yaml
expect 75 "Another service \(process $service\) is using the key store" "${verify[@]}" d/second.yaml
check 'one sentence' 1 "$(grep -c '' err)"
expect 0 '^log .* accepting$' c status

# Nobody who may only read the log holds a start up, whatever of it they lock: as another user where that can be.
reader=()
stop; rm -f d/log/lock; start d/chatelaine.yaml; stop
check 'the lock is its owner'"'"'s alone' 600 "$(stat -c %a d/log/lock)"
chmod 0666 d/log/lock
if [[ $(id -u) == 0 ]]; then
  chmod 0711 "$work" d; chmod 0755 d/log; chmod 0644 d/log/*.seg d/log/epoch-*
  reader=(setpriv --reuid=65534 --regid=65534 --clear-groups)
fi
for file in d/log d/log/000001-0000000000.seg d/log/epoch-000001; do
  "${reader[@]}" flock -F "$file" sleep 60 & other=$!
  for _ in $(seq 200); do flock -n "$file" true || break; sleep 0.02; done
  flock -n "$file" true; check "the control: a reader holds $file" $? 1
  start d/chatelaine.yaml; expect 0 '^log .* accepting$' c status; stop
  kill $other; wait $other 2>/dev/null
done
check 'a start takes the lock from others' 600 "$(stat -c %a d/log/lock)"
if [[ $(id -u) == 0 ]]; then
  expect 66 'Permission denied' "${reader[@]}" flock -n d/log/lock true
fi
chmod 0700 d d/log; chmod 0640 d/log/*.seg d/log/epoch-*
start d/chatelaine.yaml

# The store's file removed under it: no change is taken, and status says so.
mv d/store/keys.sqlite d/store/away
expect 0 "must restart: the key store's file was removed or replaced" c status
expect '6[59]|7[05]' 'request' c tenant create gamma
expect '6[59]|7[05]' 'request' c tenant create delta
expect 0 '(removed|restart)' c status
stop; mv d/store/away d/store/keys.sqlite; rm -rf log2
start d/chatelaine.yaml
check 'nothing of it is in the store' 'acme beta' "$(c tenant list | cut -d' ' -f1 | xargs)"

# Its journal removed or replaced under it: the same, and nothing that was taken is lost, stopped in order or killed.
c tenant create gamma >/dev/null; rm d/store/keys.sqlite-wal
expect 0 "must restart: the key store's journal .* was removed or replaced .*: stop it with SIGTERM" c status
expect '6[59]|7[05]' 'request' c tenant create delta
expect 0 "stop it with SIGTERM" c status
stop; start d/chatelaine.yaml
check 'the stop has saved it' 'acme beta gamma' "$(c tenant list | cut -d' ' -f1 | xargs)"
c tenant create delta >/dev/null; cp -p d/store/keys.sqlite-wal d/store/copy; mv d/store/copy d/store/keys.sqlite-wal
expect '6[59]|7[05]' 'request' c tenant create epsilon
rm -f d/store/keys.sqlite-wal; stop -KILL; start d/chatelaine.yaml
check 'a refused change has saved what was there' 'acme beta delta gamma' "$(c tenant list | cut -d' ' -f1 | xargs)"
stop

# A process that reads the store while its service is killed keeps SQLite's index as it was then, and would hide what the
# journal has behind that: such a change is made here in a copy.
start d/chatelaine.yaml
coproc sqlite3 -readonly d/store/keys.sqlite
other=$COPROC_PID; echo 'SELECT count(*) FROM tenants;' >&"${COPROC[1]}"; read -r count <&"${COPROC[0]}"
check 'another process has the store open' 4 "$count"
c tenant create zeta >/dev/null; stop -KILL
cp -a d copy; CHATELAINE_ADMIN_SOCKET=copy/run/admin.sock start copy/chatelaine.yaml
c tenant create eta --admin-socket copy/run/admin.sock >/dev/null; stop -KILL
for file in store/keys.sqlite store/keys.sqlite-wal; do cat "copy/$file" >"d/$file"; done
rm -rf d/log; cp -a copy/log d/log
expect 75 "Process $other has had the key store .* open" "${serve[@]}" d/chatelaine.yaml
check 'one sentence' 1 "$(grep -c '' err)"
kill $other; wait $other 2>/dev/null
start d/chatelaine.yaml
check 'with that process ended it starts, and nothing is lost' 'acme beta delta eta gamma zeta' "$(c tenant list | cut -d' ' -f1 | xargs)"
stop; rm -rf copy

# A fifo, a link or a directory in a file's place: refused at once.
for file in chatelaine.yaml policy.yaml log/000001-0000000000.seg log/epoch-000001 \
  store/keys.sqlite store/keys.sqlite-wal store/keys.sqlite-shm store/keys.sqlite-journal; do
  [[ -e e/$file ]] && mv "e/$file" kept
  mkfifo "e/$file"
  for command in serve verify; do
    declare -n words=$command
    expect '6[56]|7[478]' "$(basename "$file").*(no file|no regular file)" "${words[@]}" e/chatelaine.yaml
    check "one sentence: a fifo as $file" 1 "$(grep -c '' err)"
  done
  rm "e/$file"; [[ -e kept ]] && mv kept "e/$file"
done
expect 0 'all is well' "${verify[@]}" e/chatelaine.yaml
mv e/log/000001-0000000000.seg kept; ln -s ../../kept e/log/000001-0000000000.seg
expect 66 '000001-0000000000.seg: open failed \(it is a symbolic link' c audit verify --log e/log
expect 66 'it is a symbolic link' c audit show --log e/log
expect 66 '000001-0000000000.seg cannot be used \(open failed: it is a symbolic link' "${serve[@]}" e/chatelaine.yaml
rm e/log/000001-0000000000.seg; mv kept e/log/000001-0000000000.seg

# Files that others may read or change.
for file in chatelaine.yaml policy.yaml; do
  for mode in 0620 0602 0666; do
    chmod $mode e/$file; expect 78 "$file: others may change the file" "${serve[@]}" e/chatelaine.yaml; chmod 0600 e/$file
  done
  chmod 0644 e/$file; expect 0 'all is well' "${verify[@]}" e/chatelaine.yaml; chmod 0600 e/$file
  if [[ $(id -u) == 0 ]]; then
    chown nobody e/$file; expect 78 "$file: others may change the file" "${verify[@]}" e/chatelaine.yaml; chown 0 e/$file
  fi
done
for mode in 0640 0604 0666; do
  chmod $mode e/store/keys.sqlite
  expect 77 "keys.sqlite has mode $mode and lets others in: chmod 0600" "${serve[@]}" e/chatelaine.yaml
  expect 77 "chmod 0600" "${verify[@]}" e/chatelaine.yaml
done
chmod 0600 e/store/keys.sqlite
if [[ $(id -u) == 0 ]]; then
  chown nobody e/store/keys.sqlite; expect 77 'keys.sqlite belongs to uid [0-9]+, and this' "${serve[@]}" e/chatelaine.yaml
  chown 0 e/store/keys.sqlite
fi
expect 0 'all is well' "${verify[@]}" e/chatelaine.yaml

for mode in 0777 0770 0720; do
  chmod $mode e/log; before=$(picture e)
  for command in serve verify; do
    declare -n words=$command
    expect 77 "e/log: it has mode $mode and lets others write: chmod go-w" "${words[@]}" e/chatelaine.yaml
    check "one sentence: a log's directory of mode $mode" 1 "$(grep -c '' err)"
  done
  check "nothing changes: a log's directory of mode $mode" '' "$(diff <(echo "$before") <(picture e))"
done
chmod 0755 e/log; expect 0 'all is well' "${verify[@]}" e/chatelaine.yaml; chmod 0700 e/log
for file in 000001-0000000000.seg epoch-000001; do
  for mode in 0666 0660 0602; do
    chmod $mode e/log/$file
    expect 77 "e/log/$file: it has mode $mode and lets others write" "${serve[@]}" e/chatelaine.yaml
    expect 77 "chmod go-w" "${verify[@]}" e/chatelaine.yaml
  done
  chmod 0640 e/log/$file
done
if [[ $(id -u) == 0 ]]; then
  chown nobody e/log; expect 77 'e/log: it belongs to uid [0-9]+, and this' "${serve[@]}" e/chatelaine.yaml; chown 0 e/log
fi

# Where others could put a socket or a store of their own in the place of the service's.
for place in run store; do
  mode=$(stat -c %a e/$place)
  for other in 0777 0770 0720; do
    chmod $other e/$place; before=$(picture e)
    for command in serve verify; do
      declare -n words=$command
      expect 77 "e/$place: it has mode $other and lets others write: chmod go-w" "${words[@]}" e/chatelaine.yaml
      check "one sentence: e/$place of mode $other" 1 "$(grep -c '' err)"
    done
    check "nothing changes: e/$place of mode $other" '' "$(diff <(echo "$before") <(picture e))"
  done
  chmod 0755 e/$place; expect 0 'all is well' "${verify[@]}" e/chatelaine.yaml
  chmod "$mode" e/$place
done
chmod 0777 e; expect 7[78] "mode 0777 and lets others write" "${verify[@]}" e/chatelaine.yaml
chmod 1777 e; expect 0 'all is well' "${verify[@]}" e/chatelaine.yaml; chmod 0700 e
line=$(($(grep -n '^admin-socket' e/chatelaine.yaml | cut -d: -f1) + 1))
ln -s run e/other
for path in run/data.sock ./run/../run/data.sock run//data.sock other/data.sock "$work/e/run/data.sock"; do
  sed "s|run/admin.sock|$path|" e/chatelaine.yaml >e/same.yaml
  for command in serve verify; do
    declare -n words=$command
    expect 78 "same.yaml:$line: 'admin-socket' and 'data-socket' are one path" "${words[@]}" e/same.yaml
  done
done
rm e/same.yaml e/other

# What is in a socket's place: a check says what a start would, and neither makes an entry.
bad_place() {
  before=$(picture e)
  for command in serve verify; do
    declare -n words=$command
    expect 73 "$1" "${words[@]}" e/chatelaine.yaml
    check "one sentence: $1" 1 "$(grep -c '' err)"
  done
  check "nothing changes: $1" '' "$(diff <(echo "$before") <(picture e))"
}
for socket in data admin; do
  echo mine >e/run/$socket.sock; bad_place "run/$socket.sock is there and is no socket"; rm e/run/$socket.sock
done
mv e/run e/away; bad_place 'run/data.sock cannot be opened \(access failed: No such file'; mv e/away e/run
python3 -c 'import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); time.sleep(600)' \
  e/run/admin.sock & other=$!
for _ in $(seq 200); do [[ -S e/run/admin.sock ]] && break; sleep 0.02; done
before=$(picture e)
expect 75 'Another service answers at .*run/admin.sock' "${serve[@]}" e/chatelaine.yaml
check 'nothing changes: another service answers' '' "$(diff <(echo "$before") <(picture e))"
expect 0 'all is well' "${verify[@]}" e/chatelaine.yaml
kill $other; wait $other 2>/dev/null; rm e/run/admin.sock

# A name that is not the log's is refused before anything is written.
sed 's|name: "chatelaine"|name: other|' e/chatelaine.yaml >e/other.yaml
before=$(picture e)
expect 78 "e/log: the log's name is chatelaine and the configuration says other" "${serve[@]}" e/other.yaml
check 'nothing changes: another name' '' "$(diff <(echo "$before") <(picture e))"
expect 78 "e/log: the log's name is chatelaine and the configuration says other" "${verify[@]}" e/other.yaml
rm e/other.yaml

# What may not be read is a matter of permission, in every command.
if [[ $(id -u) == 0 ]]; then
  cp -a e g; chmod 0711 "$work"; chown -R 65534:65534 g; echo ch1.AAAA >sealed; chmod 0600 sealed
  other=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  service=("$bin/chatelained"); before=$(picture g/log; picture g/keyring)
  refused() { chown 0:0 "$1"; expect 77 'Permission denied|belongs to uid' "${other[@]}" "${@:2}"; chown 65534:65534 "$1"; }
  for file in chatelaine.yaml policy.yaml log/epoch-000001 log/000001-0000000000.seg store/keys.sqlite keyring keyring/master-000001.key log; do
    mode=$(stat -c %a g/$file); chmod u=rwX,go= g/$file
    for command in '' --check; do refused g/$file "${service[@]}" $command --config g/chatelaine.yaml; done
    case $file in
      log*) for command in verify show; do refused g/$file "$bin/chatelaine" audit $command --log g/log; done ;;
      keyring*) refused g/$file "$bin/chatelaine" keyring check g/keyring ;;
    esac
    chmod "$mode" g/$file
  done
  service=
  # A socket of somebody else, whom we may not even ask, is left to them.
  python3 -c 'import os, socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o755); s.listen(); time.sleep(600)' g/run/data.sock & listener=$!
  for _ in $(seq 200); do [[ -S g/run/data.sock ]] && break; sleep 0.02; done; sleep 0.2
  owner=$(stat -c '%i %u' g/run/data.sock); noted=$(picture g/log)
  expect 75 'socket at .*run/data.sock, and whether .* \(connect failed: Permission denied' \
    "${other[@]}" "$bin/chatelained" --config g/chatelaine.yaml
  check 'it is still there' "$owner" "$(stat -c '%i %u' g/run/data.sock)"
  check 'and nothing is noted' '' "$(diff <(echo "$noted") <(picture g/log))"
  kill $listener; wait $listener 2>/dev/null; rm g/run/data.sock
  refused sealed "$bin/chatelaine" envelope inspect sealed
  refused sealed "$bin/chatelaine" encrypt acme/k --in sealed
  check 'nothing changes: what may not be read' '' "$(diff <(echo "$before") <(picture g/log; picture g/keyring))"
  expect 78 'may not start the [0-9]+ threads that it needs: raise RLIMIT_NPROC' \
    "${other[@]}" prlimit --nproc=3 "$bin/chatelained" --config g/chatelaine.yaml
  check 'no thread: one sentence' 1 "$(grep -c '' err)"
  rm -rf g
fi

# The store's own row under another number, and a second one.
if command -v sqlite3 >/dev/null; then
  for edit in 'UPDATE store SET one = 2' \
    'CREATE TEMP TABLE t AS SELECT * FROM store; UPDATE t SET one = 2; INSERT INTO store SELECT * FROM t'; do
    cp -a e f; sqlite3 f/store/keys.sqlite "PRAGMA ignore_check_constraints = ON; $edit"
    expect 65 'The record of the store in the key store was changed' "${serve[@]}" f/chatelaine.yaml
    expect 65 'The record of the store in the key store was changed' "${verify[@]}" f/chatelaine.yaml
    rm -rf f
  done
  cp -a e f; sqlite3 f/store/keys.sqlite "CREATE VIEW \"$(printf 'a\033b')\" AS SELECT 1"
  expect 65 'the schema \(view a\\x1bb\)' "${verify[@]}" f/chatelaine.yaml; rm -rf f
fi

# Another keyring's file, newer than all of ours, is told and not used.
c init n >/dev/null 2>&1; c keyring add n/keyring >/dev/null
cp -a e f; ours=$(ls f/keyring | wc -l); mv n/keyring/master-000002.key f/keyring/
[[ $ours == 1 ]] && expect 0 'version 2 is not used: .*another keyring than .*master-000001.key' "${verify[@]}" f/chatelaine.yaml
rm -rf n f

# Output that does not arrive.
full() { bash -c '"$@" >/dev/full' - "$@"; }
expect 74 'standard output cannot be written' full "$bin/chatelaine" audit show --log e/log
expect 74 'standard output cannot be written' full "$bin/chatelaine" audit verify --log e/log
expect 74 'standard output cannot be written' full "$bin/chatelaine" keyring show e/keyring
expect 74 'standard output cannot be written' full "$bin/chatelained" --check --allow-root --config e/chatelaine.yaml

# A group reviews the log as the manual says it, whatever the service's umask is; nobody else does.
reviewed() {
  local owner=(setpriv --reuid=64001 --regid=64001 --clear-groups) log=$work/reviewed/house/log umask=$1
  local reader=(setpriv --reuid=64002 --regid=64002 --groups=64003) other=(setpriv --reuid=64004 --regid=64004 --clear-groups)
  local CHATELAINE_SOCKET=$work/reviewed/house/run/data.sock CHATELAINE_ADMIN_SOCKET=$work/reviewed/house/run/admin.sock
  export CHATELAINE_SOCKET CHATELAINE_ADMIN_SOCKET
  rm -rf reviewed; mkdir -m 0700 reviewed; chown 64001:64001 reviewed
  "${owner[@]}" "$bin/chatelaine" init reviewed/house >/dev/null
  printf 'log:\n  directory: log\n  name: chatelaine\n  segment-bytes: 262144\n  first-segment-bytes: 262144\n' >sizes
  sed -i -e '/^log:/,/^[^ ]/{/^log:/d;/^ /d}' -e '$r sizes' reviewed/house/chatelaine.yaml
  expect 77 'Permission denied' "${reader[@]}" "$bin/chatelaine" audit verify --log "$log"
  sed -n '/^\*\*Reviewers\*\*/,/^Files are made/{/^```sh/,/^```/{/^```/d;p}}' "$manual" |
    sed -e "s|^LOG=[^ ]*|LOG=$log|" -e 's/REVIEWERS=[^ ]*/REVIEWERS=64003/' >recipe
  check 'the manual has the recipe' 5 "$(grep -c '' recipe)"
  bash -eu recipe; check "the recipe" 0 $?
  "${owner[@]}" bash -c 'umask $1; shift; exec "$@"' - "$umask" "$bin/chatelained" --config reviewed/house/chatelaine.yaml >service.out 2>&1 &
  service=$!
  for _ in $(seq 200); do "${owner[@]}" "$bin/chatelaine" status >/dev/null 2>&1 && break; sleep 0.05; done
  for act in 'tenant create acme' 'key create acme/k'; do "${owner[@]}" "$bin/chatelaine" $act >/dev/null; done
  seq 45000 | "${owner[@]}" "$bin/chatelaine" encrypt acme/k --lines >sealed.lines
  check "umask $umask: it encrypted" 45000 "$(grep -c "^ch1" sealed.lines)"
  check "umask $umask: it rolled" yes "$([[ $(ls "$log"/*.seg | wc -l) -gt 2 ]] && echo yes)"
  check "umask $umask: modes" '640 64003' "$(stat -c '%a %g' "$log"/*.seg | sort -u)"
  check "umask $umask: the lock" 600 "$(stat -c %a "$log/lock")"
  check "umask $umask: nobody but the service writes" '' "$(find "$log" -perm /022)"
  check "umask $umask: keyring and store are its own" '' "$(find reviewed/house/keyring reviewed/house/store -perm /077)"
  expect 0 VALID "${reader[@]}" "$bin/chatelaine" audit verify --log "$log"
  expect 0 ' encrypt ok acme/k v1 ' "${reader[@]}" "$bin/chatelaine" audit show --log "$log"
  expect 77 'Permission denied' "${other[@]}" "$bin/chatelaine" audit verify --log "$log"
  expect 77 'Permission denied' "${reader[@]}" "$bin/chatelaine" keyring show reviewed/house/keyring
  stop
  expect 0 VALID "${reader[@]}" "$bin/chatelaine" audit verify --log "$log"
}
if [[ $(id -u) == 0 ]]; then
  chmod 0711 "$work"
  for umask in 077 022; do reviewed $umask; done
else
  echo "skipped: reviewers by their group need root"
fi

# Two at once that make one directory: one makes it, and the other says what it waits for.
echo 'correct horse battery' >phrase
c init k --seal passphrase --argon2-passes 16 --argon2-memory-kib 262144 --passphrase-fd 3 3<phrase >/dev/null 2>&1 & first=$!
for _ in $(seq 200); do compgen -G '.k.init-*/*' >/dev/null && break; sleep 0.02; done
expect 75 'k: another init is filling it, in \./\.k\.init-.*: wait for it' "$bin/chatelaine" init k
check 'nobody is told to remove it' 0 "$(grep -c 'remove' out)"
wait $first; check 'the first is made' 0 $?
expect 0 'all is well' "$bin/chatelained" --check --allow-root --config k/chatelaine.yaml --passphrase-fd 3 3<phrase

echo "$passed passed, $failed failed"
[[ $failed == 0 ]]
