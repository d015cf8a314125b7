#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# A directory that lies, stalls or is not the one it claims to be (tests/attack/fakeldap.py), against the functions that the daemon signs
# people in with.  L01-L08 and L10 are the attacks' numbers in doc/security.md.  A probe that hangs fails its point after two minutes.
[ -n "$BASH_VERSION" ] || exec bash "$0" "$@"
. "${srcdir:-$(dirname "$0")/../..}/tests/lib.sh"

. "${srcdir:-$(dirname "$0")/../..}/tests/attack/lying.sh"

# --- the honest case first: a test that can only fail proves nothing

lie honest
ask login alice willow-lantern-42
said OK "honest: LDAPS, the right password"
has "outcome: ok" "honest: the bind is a yes"
ask login alice wrong
has "outcome: refused" "honest: a wrong password is a no"
ask find-mail alice@clinic.test
said OK "honest: found by mail"
lie honest starttls
ask login alice willow-lantern-42
has "outcome: ok" "honest: StartTLS, the right password"
saw_no "clear bind" "honest: nothing but StartTLS was sent in clear text"
lie group
ask find alice
has "rule: admins" "honest: the group's role"
has "rule: patterned" "honest: and that of the pattern"

# --- L01: what is typed is a value

lie honest
n=0
for name in '*)(uid=*))(|(uid=*' 'alice)(|(objectClass=*' 'al*' '*' '\2a' 'alice\00x' "$(printf '(%.0s' $(seq 1 250))"; do
  n=$((n + 1))
  ask find "$name"
  said NOT_FOUND "L01: name $n finds nobody"
  saw "filter=(&(objectClass=696e65744f7267506572736f6e)(uid=$(printf %s "$name" | od -An -v -tx1 | tr -d ' \n')))" \
    "L01: name $n arrives as one value, byte for byte"
done
ask find "$(printf '(%.0s' $(seq 1 300))"
said NOT_FOUND "L01: a name of 300 bytes finds nobody"
ask_apart find $'alice\nx'
said NOT_FOUND "L01: a name with a line end finds nobody"
saw_no "0a78" "L01: and is not sent"
ask find-mail '*'
said NOT_FOUND "L01: the same for mail"

# --- L03: an empty password is never a bind

lie honest
ask check uid=alice,ou=people,dc=clinic,dc=test ''
has "outcome: refused" "L03: an empty password is refused"
ask check '' willow-lantern-42
has "outcome: refused" "L03: an empty name is refused"
saw_no "bind" "L03: and neither came to the server"

# --- L04: a search that finds nobody, several, somebody else, or somebody without identity

for case in none:NOT_FOUND two:AMBIGUOUS many:AMBIGUOUS other-dn:NOT_FOUND other-person:NOT_FOUND no-id:NOT_FOUND two-ids:NOT_FOUND \
  id-named-twice:LDAP two-logins:NOT_FOUND nul-dn:LDAP bad-end:NOT_FOUND huge-value:TOO_LARGE; do
  lie "${case%:*}"
  ask login alice willow-lantern-42
  said "${case#*:}" "L04: ${case%:*} is refused"
  saw_no "bind dn=uid=" "L04: ${case%:*}: no password was tried"
done

# --- L05: referrals lead nowhere

for mode in search-reference search-referral; do
  lie $mode
  ask login alice willow-lantern-42
  said INCOMPLETE "L05: $mode counts as incomplete"
  saw_no leak "L05: $mode is not followed"
  ask read
  said INCOMPLETE "L05: $mode: no full read either"
done
lie bind-referral
ask check uid=alice,ou=people,dc=clinic,dc=test willow-lantern-42
said LDAP "L05: a bind that is referred elsewhere is neither yes nor no"
saw_no leak "L05: and is not followed"

# --- L06: TLS or nothing

for case in starttls-refused starttls-protocol-error starttls-clear inject-before inject-unsolicited inject-after; do
  lie $case starttls
  ask login alice willow-lantern-42
  said LDAP_TLS "L06: $case is refused"
  saw_no bind "L06: $case: no credential was sent"
  # refused for what it is, not because TLS happens to stumble over it later
  case $case in
  inject-after) has_part "somebody put data between the answer to StartTLS and TLS" "L06: $case is seen" ;;
  inject-*) has_part "the directory sent something else than the answer to StartTLS" "L06: $case is seen" ;;
  esac
done
for case in name address over foreign self; do
  for how in ldaps starttls; do
    lie honest $how $case
    ask login alice willow-lantern-42
    said LDAP_TLS "L06: $how with certificate \"$case\" is refused"
    saw_no bind "L06: $how with certificate \"$case\": no credential was sent"
  done
done
lie honest ldaps good old
ask login alice willow-lantern-42
said LDAP_TLS "L06: TLS 1.1 is refused"
saw_no bind "L06: TLS 1.1: no credential was sent"
lie honest
LDAPTLS_REQCERT=never LDAPTLS_CACERT=$work/stranger.pem ask_apart login alice willow-lantern-42
has "outcome: ok" "L06: the environment does not change whom we trust"
LDAPTLS_CERT=$work/none LDAPTLS_KEY=$work/none LDAPTLS_CIPHER_SUITE=NONE LDAPTLS_PEERKEY_HASH=none SSLKEYLOGFILE=$work/keys \
  ask_apart login alice willow-lantern-42
has "outcome: ok" "L06: nor says what we show of ourselves, and which ciphers there are"
[ ! -e "$work/keys" ]
point $? "L06: nor has the keys of a connection written into a file"
lie honest ldaps foreign
LDAPTLS_REQCERT=never LDAPTLS_CACERT=$work/stranger.pem LDAPTLS_CACERTDIR=$work/trust ask_apart login alice willow-lantern-42
said LDAP_TLS "L06: nor loosen it"
ask peek
said OK "certificates are shown to who must decide, trusted or not"
has "issuer: CN=stranger" "with their issuer"
saw_no bind "and nothing else is sent"

# --- L07: the name that came back must be the one that was asked for

lie honest
ask find ALICE
has "id: 0f8fad5b-d9cb-469f-a165-70867728950e" "L07: case does not matter, the person is the same"
for name in 'alice ' $'\xc2\xa0alice' $'al\xc4\xb1ce' 'CORP\alice' 'alice@corp.test'; do
  ask find "$name"
  said NOT_FOUND "L07: \"$name\" is nobody, even where the server says otherwise"
done

# --- L08: groups by their whole name and place

for mode in group-elsewhere group-comma group-outside group-doubled; do
  lie $mode
  ask find alice
  said OK "L08: $mode: the person is found"
  has_not "^rule: admins" "L08: $mode gives no role by its DN"
  # group-comma does lie in ou=groups under a name that begins with "adm"
  [ $mode = group-comma ] || has_not "^rule:" "L08: $mode gives no role at all"
done
lie group-circle
ask find alice
has "rule: a" "L08: a circle gives its roles"
has "rule: b" "L08: all of them"
for mode in group-bottomless group-flood; do
  lie $mode
  ask find alice
  [ "$(result)" = INCOMPLETE ] || [ "$(result)" = DEADLINE ]
  point $? "L08: $mode ends, and not with a yes"
done

# --- L10: states

lie locked-for-good
ask find alice
has "reason: disabled" "L10: locked for good is disabled"
lie expired
ask find alice
has "reason: expired" "L10: an account whose end has passed"
lie locked
ask find alice
has "active: 1" "L10: locked for a while is the bind's affair"
lie person-locked
ask login alice willow-lantern-42
has "outcome: locked" "L10: too many tries, told by constraintViolation, is a no to this person and no failure of the server"
lie bind-control-lies
ask check uid=alice,ou=people,dc=clinic,dc=test wrong
has_not "outcome: ok" "L10: a control never makes a yes of a no"

# --- what stalls or breaks ends by itself

for mode in tcp-silent tls-half tls-drip bind-half bind-drip bind-silent bind-flood search-silent search-drip; do
  lie $mode
  ask find alice
  said DEADLINE "stall: $mode ends at the deadline"
done
for mode in tls-garbage; do
  lie $mode
  ask find alice
  said LDAP_TLS "stall: $mode is no TLS"
done
for mode in starttls-half tcp-silent; do
  lie $mode starttls
  ask find alice
  said DEADLINE "stall: $mode with StartTLS ends at the deadline"
done
lie starttls-huge starttls
ask find alice
said LDAP_TLS "stall: an answer of 2 GB to StartTLS is refused at its head"
for case in bind-huge:LDAP bind-garbage:LDAP bind-wrong-number:DEADLINE bind-wrong-kind:DEADLINE bind-busy:LDAP search-cut:UNREACHABLE \
  search-eof:UNREACHABLE search-disconnect:UNREACHABLE search-size:INCOMPLETE search-time:INCOMPLETE search-admin:INCOMPLETE search-busy:LDAP \
  search-gone:INCOMPLETE; do
  lie "${case%:*}"
  ask find alice
  found=$(result)
  # broken messages may look like a lost connection to libldap: what matters is that they are a failure
  case $found in
  "${case#*:}" | UNREACHABLE | LDAP | DEADLINE) point 0 "broken: ${case%:*} is a failure" ;;
  *) point 1 "broken: ${case%:*} is a failure ($found)" ;;
  esac
  saw_no "clear bind" "broken: ${case%:*}: nothing went out in clear text"
done

# --- a full read is whole or nothing

for case in search-eof search-size search-time search-admin search-busy search-gone search-disconnect pages-cut pages-ignored pages-endless \
  id-named-twice; do
  lie $case
  ask read
  [ "$(result)" != OK ] && [ "$(result)" != HUNG ] && [ -n "$(result)" ]
  point $? "read: $case is a failure, not a short success"
done
lie hostile
ask read
said OK "read: sound entries are read beside hostile ones"
has "people: 1" "read: one of three is a person"
has "skipped: 2" "read: two are skipped, with a reason"
lie honest
ask reread
[ "$(result | grep -c OK)" = 2 ]
point $? "read: twice over one connection"
[ "$(grep -c '^connect' "$work/journal")" = 1 ]
point $? "read: which was kept"

# --- a directory that does not answer is left alone

lie honest
sed -i "s/127.0.0.1:$port/127.0.0.1:1/" "$work/objects.yaml"
ask storm 12 alice
has "UNREACHABLE: 12" "circuit: a directory that is down is unreachable"
lie tcp-silent
ask storm 8 alice
has "DEADLINE: 3" "circuit: three wait until the deadline"
has "UNREACHABLE: 5" "circuit: the others are told at once"
[ "$(grep -c "^connect" "$work/journal")" = 3 ]
point $? "circuit: and do not even connect"
finish
