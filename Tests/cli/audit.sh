#!/usr/bin/env bash
# `chatelaine audit verify` and `audit show` on the log vectors: exit codes, what is named, filters.
# Usage: Tests/cli/audit.sh PATH-OF-chatelaine
set -u
chatelaine=$(realpath "${1:?usage: audit.sh PATH-OF-chatelaine}")
logs=$(realpath "$(dirname "$0")/../Vectors/logs")
passed=0 failed=0
check() { if [[ $2 == "$3" ]]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "NOT OK $1: '$2' is not '$3'"; fi; }

for log in "$logs"/*/; do
  name=$(basename "$log")
  before=$(find "$log" -type f -exec sha256sum {} + | sort)
  said=$("$chatelaine" audit verify --log "$log" 2>&1); got=$?
  case $name in
    valid-empty) want=3 word=EMPTY ;;
    valid-*) want=0 word=VALID ;;
    torn-*) want=2 word=interrupted ;;
    tampered-*) want=65 word=TAMPERED ;;
    unsupported-*) want=78 word='newer version' ;;
  esac
  check "$name exits" "$got" "$want"
  [[ $said == *$word* ]]; check "$name says $word" $? 0
  [[ $want != 65 && $want != 78 || $said == *.seg*offset* || $said == *epoch* ]]; check "$name names a place" $? 0
  json=$("$chatelaine" audit verify --json --log "$log" 2>/dev/null)
  case $want in 65) result=tampered ;; 78) result=newer ;; *) result= ;; esac
  [[ $json == '{"result":'*'}' && $json == '{"result":"'$result* ]]; check "$name answers in JSON" $? 0
  check "$name is as it was" "$(find "$log" -type f -exec sha256sum {} + | sort)" "$before"
done

log=$logs/valid-three-segments
show() { "$chatelaine" audit show --log "$log" "$@"; }
all=$(show | wc -l)
check "every entry is shown" "$all" "$("$chatelaine" audit verify --json --log "$log" | grep -o '"entries":[0-9]*' | cut -d: -f2)"
check "a tenant's entries" "$(show --tenant acme | grep -vc ' acme')" 0
check "tenants add up" "$(($(show --tenant acme | wc -l) + $(show --tenant globex | wc -l) + $(show --tenant _service | wc -l)))" "$all"
check "an operation" "$(show --operation decrypt | grep -vc ' decrypt ')" 0
check "a principal nobody has" "$(show --principal uid:4242 | wc -l)" 0
id=$(show --json | grep -o '"requestId":"[0-9a-f]*[1-9a-f][0-9a-f]*"' | head -n 1 | cut -d'"' -f4)
check "a request id finds its entry" "$(show --request-id "$id" --json | grep -c "$id")" 1
first=$(show --json | sed -n 's/.*"time":"\([^"]*\)".*/\1/p' | sed -n 3p)
check "since and until split the log" "$(($(show --since "$first" | wc -l) + $(show --until "$first" | wc -l)))" "$all"
check "since begins there" "$(show --since "$first" | wc -l)" "$((all - 2))"
show --operation operation-777 >/dev/null 2>&1; check "a number without a word is one" $? 0
show --operation operation-2 >/dev/null 2>&1; check "a number with a word is none" $? 64
show --operation nonsense >/dev/null 2>&1; check "an unknown word is a usage error" $? 64
show --since 2026-02-31T00:00:00Z >/dev/null 2>&1; check "a day that is none is a usage error" $? 64
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
for command in verify show; do
  says() { said=$("$chatelaine" audit $command --log "$1" 2>&1); check "$command of $2: exits" $? "$3"; [[ $said == *$4* ]]; check "$command of $2: says $4, not $said" $? 0; }
  says /nonexistent "a directory that is not there" 66 'No such file or directory'
  says "$work" "an empty directory" 66 'there is no log here'
  says "$logs" "a directory of something else" 66 'there is no log here'
  says "$0" "a file" 66 'Not a directory'
done
says "$logs/valid-empty" "a log without entries" 0 ''
cp -r "$log" "$work/cut"; chmod -R u+w "$work/cut"; rm "$work"/cut/epoch-*
command=verify; says "$work/cut" "segments without their epoch" 65 TAMPERED
timeout 1 "$chatelaine" audit show -f --log "$log" >/dev/null; check "-f goes on until stopped" $? 124
check "JSON lines parse" "$(show --json | { command -v python3 >/dev/null && python3 -c 'import json,sys; print(sum(1 for l in sys.stdin if json.loads(l)))' || wc -l; })" "$all"

# A page for people.
report() { "$chatelaine" audit report --log "$1" --out "$work/page.html" 2>&1; }
page_says() { grep -qF "$1" "$work/page.html"; check "the page says $1" $? 0; }
report "$log" >/dev/null; check "a report exits" $? 0
page_says 'Every entry is as it was written'; page_says "<td>$all (key-use"; page_says "default-src 'none'"
check "a page loads nothing and runs nothing" "$(grep -ciE '<script|<img|<link|src=|href=|url\(|@import|onload' "$work/page.html")" 0
report "$logs/valid-empty" >/dev/null; check "a report of nothing exits" $? 3; page_says 'nothing to verify'
report "$work/cut" >/dev/null; check "a report of segments without their epoch exits" $? 65
for tampered in "$logs"/tampered-*/; do
  rm -f "$work/page.html"; report "$tampered" >/dev/null; got=$?; check "a report of $(basename "$tampered") exits" "$got" 65
  [[ ! -e $work/page.html ]] || page_says '<strong>Tampered</strong>'
done
# Formats for other programs, and lists that go on.
check "CSV has a heading and a line an entry" "$(show --format csv | wc -l)" $((all + 1))
check "syslog is RFC 5424" "$(show --format syslog --host vault-1 | grep -cE '^<1[01][0-9]>1 [0-9T:.-]{26}Z vault-1 chatelaine - [a-z-]+ \[chatelaine@32473 .*\] ')" "$all"
check "CEF has seven parts" "$(show --format cef | grep -cE '^CEF:0\|Chatelaine\|chatelaine\|1\|[a-z-]+\|[^|]+\|[0-9]\|rt=')" "$all"
check "the newest first" "$(show --newest-first --limit 3 | cut -d' ' -f1 | tr '\n' ' ')" "$((all - 1)) $((all - 2)) $((all - 3)) "
check "all, the newest first" "$(show --newest-first | tac)" "$(show)"
check "behind a sequence, at most so many" "$(show --after 4 --limit 2 | cut -d' ' -f1 | tr '\n' ' ')" "5 6 "
check "an actor" "$(show --actor user-21 | grep -vc actor=user-21) $(show --actor user-21 | wc -l)" "0 1"
show --newest-first -f >/dev/null 2>&1; check "the newest first and on is a usage error" $? 64
show --limit 0 >/dev/null 2>&1; check "none at most is a usage error" $? 64
paged=$(while out=$(show --cursor "$work/cursor" --limit 7); [ -n "$out" ]; do echo "$out"; done)
check "pages with a cursor are the whole list" "$paged" "$(show)"
check "at the end there is no more" "$(show --cursor "$work/cursor" | wc -l)" 0
refused() { said=$("$chatelaine" audit show --log "$1" --cursor "$2" 2>&1 >"$work/printed"); check "$3: exits" $? 65; [[ $said == *$4* ]]; check "$3: says $4, not $said" $? 0; check "$3: prints nothing" "$(wc -c <"$work/printed")" 0; }
sed 's/ [0-9a-f]*$/ 0000000000000000000000000000000000000000000000000000000000000000/' "$work/cursor" >"$work/forged"
refused "$log" "$work/forged" "a log rewritten behind the cursor" rewritten
sed "s/ $all / $((all + 1)) /" "$work/cursor" >"$work/ahead"
refused "$log" "$work/ahead" "a log that was cut" 'end was cut'
refused "$logs/valid-empty" "$work/cursor" "another log" 'another log'
echo nonsense >"$work/nonsense"; refused "$log" "$work/nonsense" "a file that is no cursor" 'no cursor'
check "what was refused is as it was" "$(cat "$work/nonsense")" nonsense

# Pages backwards, and an index of the reader's own.
check "before a sequence, the newest first" "$(show --newest-first --before 5 --limit 2 | cut -d' ' -f1 | tr '\n' ' ')" "4 3 "
before=$(find "$log" -type f -exec sha256sum {} + | sort)
indexed() { show --index "$work/index" "$@" 2>"$work/said"; }
for query in '--tenant acme' '--tenant globex --newest-first' '--actor user-21' "--request-id $id" '--tenant initech' '--principal uid:1000 --limit 3' '--tenant acme --after 4 --before 30 --format csv'; do
  # shellcheck disable=SC2086
  check "an index finds the same: $query" "$(indexed $query)" "$(show $query)"
  grep -q "over the first $all entries: .* not shown: for that, leave --index out" "$work/said"; check "it says what it did: $query" $? 0
done
check "the log is as it was" "$(find "$log" -type f -exec sha256sum {} + | sort)" "$before"
check "an index is its owner's alone" "$(stat -c %a "$work/index")" 700
indexed --operation decrypt >/dev/null; check "an index needs what it finds by" $? 64
indexed --tenant acme -f >/dev/null; check "an index does not follow" $? 64
show --tenant acme --log-key "$work/nonsense" >/dev/null 2>&1; check "--log-key without an index is a usage error" $? 64
flock "$work/index/lock" "$chatelaine" audit show --log "$log" --index "$work/index" --tenant acme >/dev/null 2>"$work/said"; check "an index in use: exits" $? 75
cp -r "$work/index" "$work/damaged"; printf x | dd of="$(ls "$work"/damaged/part-*)" bs=1 seek=5000 conv=notrunc status=none
said=$(show --index "$work/damaged" --tenant acme 2>&1 >"$work/printed"); check "a damaged index exits" $? 65
[[ $said == *'the index is damaged'* && ! -s $work/printed ]]; check "a damaged index shows nothing and says so: $said" $? 0
said=$("$chatelaine" audit show --log "$logs/valid-one-segment" --index "$work/index" --tenant acme 2>&1); check "another log's index exits" $? 65

echo "$passed passed, $failed failed"
[[ $failed == 0 ]]
