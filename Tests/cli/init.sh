#!/bin/bash
# Transcripts of `chatelaine init` and `chatelained --config F --check`: what is made, what is refused, exit codes.
# Usage: Tests/cli/init.sh FOLDER-OF-chatelaine-AND-chatelained
set -u
bin=$(realpath "${1:?usage: init.sh FOLDER-OF-chatelaine-AND-chatelained}")
root=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d) && cd "$work" || exit 1
trap 'chmod -R u+rwX "$work"; rm -rf "$work"' EXIT
passed=0 failed=0

# expect CODE PATTERN COMMAND...: runs it; its exit code is CODE and PATTERN (extended regex) is in what it says.
expect() {
  local code=$1 pattern=$2 got; shift 2
  "$@" >out 2>err <"${input:-/dev/null}"; got=$?
  cat err >>out
  if [[ $got =~ ^$code$ ]] && grep -qE -- "$pattern" out; then passed=$((passed + 1)); return; fi
  failed=$((failed + 1)); echo "NOT OK ($got, not $code, or no '$pattern'): $*"; sed 's/^/    /' out
}
refuse() { # as expect, and nothing on disk is touched, and it says one line
  picture >before
  expect "$@"
  picture >after; check "nothing changes: ${*:3}" '' "$(diff before after)"
  check "one sentence: ${*:3}" 1 "$(grep -c '' err)"
}
picture() { find . -type f ! -name out ! -name err ! -name before ! -name after -printf '%p %m %u %s ' -exec sha256sum {} \; | sort; find . -type d -printf '%p %m\n' | sort; }
check() { if [[ $2 == "$3" ]]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "NOT OK $1: '$2' is not '$3'"; fi; }
init() { "$bin/chatelaine" init "$@"; }
verify() { "$bin/chatelained" --check --allow-root --config "$@"; }
modes() { stat -c '%n=%a' "$@" | sed 's|.*/||' | xargs; }
cheap=(--seal passphrase --argon2-memory-kib 8192 --argon2-passes 1)

# A place whose sockets could not be: 107 bytes are the most of a socket's path, and run/admin.sock takes 15 of them.
long=$work/$(head -c $((107 - 15 - ${#work} - 1)) /dev/zero | tr '\0' l)
refuse 64 'a path of 108 bytes, and 107 are the most' init "${long}l"
expect 0 '' init "$long"; check 'the control: one byte less' yes "$([[ -d $long/run ]] && echo yes)"
chmod -R u+rwX "$long"; rm -rf "$long"
echo 'correct horse battery' >phrase; echo 'wrong horse battery' >wrong

# A place in which others could put something of theirs: refused as a start would.
mkdir -p open/below && chmod 0777 open
for place in open/d open/below/d; do
  refuse 77 "/open: it has mode 0777 and lets others write: chmod go-w" init $place
done
chmod 1777 open; expect 0 '^made open/below/d/$' init open/below/d; expect 0 '^all is well$' verify open/below/d/chatelaine.yaml
rm -rf open

# One directory with everything in it, which a start accepts.
expect 0 "^uid $(id -u) has every role here: for trying things out" init d
check 'one trust sentence for each part' 7 "$(grep -cE '^  [a-z.]+/? +[a-z]' out)"
expect 0 '^next: chatelained --config d2/chatelaine.yaml' init d2/
check modes 'chatelaine.yaml=600 keyring=700 log=700 master-000001.key=400 policy.yaml=600 run=700 signing=700 log.key=400 store=700' \
  "$(modes d/chatelaine.yaml d/keyring d/log d/keyring/* d/policy.yaml d/run d/signing d/signing/log.key d/store)"
expect 0 '^all is well$' verify d/chatelaine.yaml
expect 0 '^policy   3 rules, roles may be combined' verify "$work/d/chatelaine.yaml"
expect 0 '^log      chatelaine/[0-9a-f]{32}, 2 entries hold$' env -C d "$bin/chatelained" --check --allow-root --config chatelaine.yaml
expect 0 VALID "$bin/chatelaine" audit verify --log d/log
expect 0 '^\{"directory":"j","config":"j/chatelaine.yaml","keyringId":"[0-9a-f]{32}",.*"logName":"prod.1".*"rolesCombined":true' \
  init j --json --log-name prod.1
check 'no key in what it printed' '' "$(grep -oF "$(tail -c 100 j/keyring/master-000001.key | head -c 32 | od -An -tx1 | tr -d ' \n')" out)"
mkdir empty && chmod 0755 empty; expect 0 '^made empty/$' init empty; check 'its mode' 700 "$(stat -c %a empty)"
(umask 0777; init u >/dev/null); check 'a umask does not count' 'chatelaine.yaml=600 epoch-000001=640 keys.sqlite=600 u=700' \
  "$(modes u/chatelaine.yaml u/log/epoch-000001 u/store/keys.sqlite u)"
mv d moved; expect 0 'all is well' verify moved/chatelaine.yaml; mv moved d

other=daemon; [[ $(id -un) == daemon ]] && other=nobody
# Another user for applications: roles apart, and a way to the data socket only.
expect 0 "^user:$other may encrypt and decrypt, uid $(id -u) may administer" init app --app-user "$other"
check 'the way to the socket' 'app=711 keyring=700 log=700 run=711 store=700' "$(modes app app/keyring app/log app/run app/store)"
check 'modes of the sockets' '"0666" "0600"' "$(sed -n 's/^  mode: //p' app/chatelaine.yaml | xargs -n1 printf '"%s" ' | sed 's/ $//')"
check 'roles are apart' '' "$(grep combined app/policy.yaml)"
expect 0 '^policy   2 rules$' verify app/chatelaine.yaml
expect 0 '"applicationUid":54321' init app2 --app-user 54321 --json
expect 64 'no user nobody-here' init x --app-user nobody-here
expect 64 'leave it away' init x --app-user "$(id -u)"

# Passphrases.
input=phrase expect 0 'made p/' init p "${cheap[@]}" --passphrase-fd 0
input=phrase expect 0 'all is well' verify p/chatelaine.yaml --passphrase-fd 0
refuse 77 'p/keyring/master-000001.key: wrong passphrase' verify p/chatelaine.yaml --passphrase-fd 3 3<wrong
refuse 66 'there is no terminal' setsid "$bin/chatelained" --check --allow-root --config p/chatelaine.yaml
expect 0 'made pc/' env CREDENTIALS_DIRECTORY="$work" "$bin/chatelaine" init pc "${cheap[@]}" --passphrase-credential phrase
expect 0 'all is well' env CREDENTIALS_DIRECTORY="$work" "$bin/chatelained" --check --allow-root --config pc/chatelaine.yaml
expect 64 'goes with --seal passphrase' init x --passphrase-fd 0

# Where nothing can be made, nothing is, and what stops it half-way does not block the next try.
refuse 73 'd: it is there and not an empty directory' init d
touch file; refuse 73 'file: it is there and not an empty directory' init file
ln -s empty link; refuse 73 'link: it is there' init link
refuse 73 'a/b: the directory above does not exist' init a/b
refuse 64 'name the directory itself' init .
expect 64 "log's name" init x --log-name a/b
expect 78 'LD_PRELOAD or LD_AUDIT is set' env LD_PRELOAD=libm.so.6 "$bin/chatelaine" init x
expect 0 'made pre/' env LD_PRELOAD=libm.so.6 "$bin/chatelaine" init pre --allow-preload
before=$(ls -A)
expect '7[34]' 'x/.*File too large' bash -c '(ulimit -f 1; trap "" XFSZ; "$@" 2>&1) | cat; exit "${PIPESTATUS[0]}"' - "$bin/chatelaine" init x
check 'a failed try leaves nothing' "$before" "$(ls -A)"
check 'and names the place that was asked for' 0 "$(grep -c 'init-' out)"
echo short >short; refuse 65 '^chatelaine: x/keyring: a passphrase for a new key has at least 12 bytes' init x "${cheap[@]}" --passphrase-fd 3 3<short
"$bin/chatelaine" init k --seal passphrase --argon2-passes 16 --argon2-memory-kib 262144 --passphrase-fd 3 3<phrase >/dev/null 2>&1 & pid=$!
for _ in $(seq 200); do compgen -G '.k.init-*/*' >/dev/null && break; sleep 0.02; done
{ kill -9 $pid; wait $pid; } 2>/dev/null
# The program itself is killed, not a shell around it: who is alive is at work.
check 'killed half-way: the place is free' 'no' "$([[ -e k ]] && echo yes || echo no)"
check 'and there is a leftover' 1 "$(find . -maxdepth 1 -name '.k.init-*' | wc -l)"
expect 0 'left over from an interrupted init, and nothing uses it: remove it' init k
expect 0 'all is well' verify k/chatelaine.yaml; rm -rf .k.init-*

# Row 50: an unknown key, a wrong type, a duplicate: line and nearest name, and --check does the same.
sed 's/^policy:/polcy:/' d/chatelaine.yaml >d/c1.yaml
refuse 78 "d/c1.yaml:12: unknown key 'polcy': did you mean 'policy'\?" verify d/c1.yaml
refuse 78 "d/c1.yaml:12: unknown key 'polcy'" "$bin/chatelained" --allow-root --config d/c1.yaml
{ cat d/chatelaine.yaml; echo 'event-loops: "2"'; } >d/c2.yaml
refuse 78 "d/c2.yaml:24: 'event-loops' takes a whole number, without quotes" verify d/c2.yaml
{ cat d/chatelaine.yaml; echo 'store: x'; } >d/c3.yaml
refuse 78 "d/c3.yaml:24: the key 'store' stands in line 5 already" verify d/c3.yaml
sed 's/policy.yaml/p1.yaml/' d/chatelaine.yaml >d/c4.yaml; sed 's/role: operator/role: operater/' d/policy.yaml >d/p1.yaml
refuse 78 "d/p1.yaml:[0-9]+: 'operater' is no word for 'role': did you mean 'operator'\?" verify d/c4.yaml
refuse 66 'd/none.yaml: the file cannot be read' verify d/none.yaml
sed 's/policy.yaml/none.yaml/' d/chatelaine.yaml >d/c5.yaml; refuse 66 'd/none.yaml: the file cannot be read' verify d/c5.yaml
policy() { "$bin/chatelaine" policy "$@"; }
expect 0 '^valid: 3 rules, roles may be combined$' policy check d/policy.yaml
refuse 78 "d/p1.yaml:[0-9]+: 'operater' is no word for 'role': did you mean 'operator'\?" policy check d/p1.yaml
refuse 66 'd/none.yaml: the file cannot be read' policy check d/none.yaml
sed 's/user:[a-z]*/uid:7/; s/^\( *role: \).*/\1application/; /operators/,$d' "$root/deploy/policy-example.yaml" >pol.yaml
explain() { policy explain pol.yaml --principal "$@"; }
expect 0 '^allowed by rule payments, line 5$' explain uid:7 --operation decrypt --key acme/payments-eu
expect 0 '"allowed":true,"rule":"payments","line":5' explain uid:7 --operation decrypt --key acme/payments --json
expect 77 '^  rule payments, line 5: not key invoices$' explain uid:7 --operation decrypt --key acme/invoices
expect 77 '^  rule archive-of-acme, line [0-9]+: not tenant beta$' explain uid:7 --operation issue-data-key --tenant beta
expect 77 '^denied: no rule is about uid:8' explain uid:8 --operation decrypt --key acme/payments
expect 64 "there is no 'decript'; there are: encrypt, decrypt" explain uid:7 --operation decript --key acme/payments
expect 64 'principal names who asks: uid:N' explain 7 --operation decrypt
cp d/chatelaine.yaml $'d/a\eb.yaml'; echo 'x: 1' >>$'d/a\eb.yaml'; refuse 78 'a\\x1bb.yaml:24: unknown key' verify $'d/a\eb.yaml'
expect 64 'config' "$bin/chatelained" --check --allow-root
expect 0 'Exit status' "$bin/chatelained" --help

# Row 49: a socket path of more than 107 bytes.
long=$(printf 'x%.0s' $(seq 100)); sed "s|run/data.sock|run/$long|" d/chatelaine.yaml >d/c6.yaml
refuse 78 "c6.yaml:11: 'data-socket.path' comes to a path of 10[0-9]+ bytes|and a socket's has 107 at most" verify "$work/d/c6.yaml"

# Row 45: a master key that is missing, short, open to others, a symlink, or in the store's directory.
key=d/keyring/master-000001.key; cp -a $key kept
rm -f $key; refuse 66 'd/keyring: the keyring holds no master key' verify d/chatelaine.yaml
head -c 20 kept >$key; chmod 400 $key; refuse 65 "$key: " verify d/chatelaine.yaml
rm -f $key; cp -a kept $key; chmod 440 $key; refuse 77 "$key: the file has mode 0440 and was not read: chmod 0400" verify d/chatelaine.yaml
rm -f $key; ln -s ../../kept $key; refuse 77 "$key: the master key is a symbolic link" verify d/chatelaine.yaml
rm -f $key; cp -a kept $key
chmod 0750 d/keyring; refuse 77 'd/keyring: the directory has mode 0750' verify d/chatelaine.yaml; chmod 0700 d/keyring
mv d/keyring d/store/keyring; sed 's|directory: keyring|directory: store/keyring|' d/chatelaine.yaml >d/c7.yaml
refuse 78 "d/store/keyring: the keyring lies in the store's directory" verify d/c7.yaml; mv d/store/keyring d/keyring
mv d/keyring d/away; refuse 66 'd/keyring: there is no such directory' verify d/chatelaine.yaml; mv d/away d/keyring
if [[ $(id -u) == 0 ]]; then
  chown nobody $key; refuse 77 "$key: the file belongs to uid [0-9]+" verify d/chatelaine.yaml; chown 0 $key
fi
expect 0 'all is well' verify d/chatelaine.yaml

# Row 46: the master key of another store, by its keyring and by its key check value.
sed 's|directory: keyring|directory: ../d/keyring|' d2/chatelaine.yaml >d2/c8.yaml
refuse 65 'The key store belongs to keyring [0-9a-f]{32}, not [0-9a-f]{32}' verify d2/c8.yaml

# Store and log that do not belong together, or are not there, or in use.
sed 's|directory: log|directory: ../d2/log|' d/chatelaine.yaml >d/c9.yaml
expect 65 'belongs to log' verify d/c9.yaml
sed 's|name: "chatelaine"|name: other|' d/chatelaine.yaml >d/c10.yaml
expect 78 "d/log: the log's name is chatelaine and the configuration says other" verify d/c10.yaml
sed 's|keys.sqlite|none.sqlite|' d/chatelaine.yaml >d/c11.yaml; refuse 66 'No key store at d/store/none.sqlite' verify d/c11.yaml
refuse 75 'Another service \(process [0-9]+\) is using the log' flock d/log/lock "$bin/chatelained" --check --allow-root --config d/chatelaine.yaml
if [[ $(id -u) == 0 ]]; then refuse 78 'running as root: .*--allow-root' "$bin/chatelained" --check --config d/chatelaine.yaml; fi
{ cat d/chatelaine.yaml; echo 'allow: [root, preload]'; } >d/c12.yaml
expect 0 'all is well' env LD_PRELOAD=libm.so.6 "$bin/chatelained" --check --config d/c12.yaml
refuse 78 'LD_PRELOAD' env LD_PRELOAD=libm.so.6 "$bin/chatelained" --check --allow-root --config d/chatelaine.yaml

# The example keys.
cp -r "$root/keys-example" d/example; chmod 700 d/example; chmod 400 d/example/*
sed 's|directory: keyring|directory: example|' d/chatelaine.yaml >d/c13.yaml
refuse 78 'these are the example keys' verify d/c13.yaml
expect 65 'WARNING: these are the EXAMPLE KEYS' verify d/c13.yaml --insecure-example-keys
echo 'insecure-example-keys: true' >>d/c13.yaml; expect 65 'WARNING: these are the EXAMPLE KEYS' verify d/c13.yaml

echo "$passed passed, $failed failed"
[[ $failed == 0 ]]
