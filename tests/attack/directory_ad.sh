#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# An Active Directory that lies (tests/attack/fakead.py), against the functions that the daemon reads and signs people in with.
[ -n "$BASH_VERSION" ] || exec bash "$0" "$@"
. "${srcdir:-$(dirname "$0")/../..}/tests/lib.sh"
. "${srcdir:-$(dirname "$0")/../..}/tests/attack/lying.sh"

guid=554700d1-f791-4983-aabe-d42fcdbc39d7
kind=ad
base="DC=clinic,DC=test"
of_directory()
{
  cat <<Y
    kind: $kind
    base: $base
    group_base: OU=Groups,DC=clinic,DC=test
Y
}

rules()
{
  cat <<Y
  - {name: admins, directory: clinic, group: "CN=admins,OU=Groups,DC=clinic,DC=test", role: admin}
  - {name: a, directory: clinic, group: "CN=a,OU=Groups,DC=clinic,DC=test", role: nurse}
  - {name: b, directory: clinic, group: "CN=b,OU=Groups,DC=clinic,DC=test", role: nurse}
  - {name: sandbox, directory: clinic, group: "CN=admins,OU=Sandbox,DC=clinic,DC=test", role: nurse}
  - {name: everybody, directory: clinic, group: "CN=Domain Users,CN=Users,DC=clinic,DC=test", role: phone}
Y
}

# --- the honest case first

lie ad-honest
ask find alice
said OK "honest: found"
has "id: $guid" "honest: by the objectGUID"
has "login: alice" "honest: the login name is sAMAccountName"
has "rule: admins" "honest: the group's role"
has "rule: everybody" "honest: the primary group's, which lies outside of the group base"
ask read
said OK "honest: read"
has "people: 1" "honest: one person"
has "group: Domain Users cn=domain users,cn=users,dc=clinic,dc=test" "honest: and the primary group"
ask agree
has "same: 1" "honest: reading and signing in agree"
ask method alice willow-lantern-42
has "outcome: ok" "honest: the right password"
ask method alice wrong
has "outcome: refused" "honest: a wrong one"
has "detail: 52e: wrong password, or no such account; set a new password if it was forgotten" "honest: in the server's words"

# --- what the server says of itself

ask root
has "kind: 2" "kind: the server says that it is an Active Directory"
kind=openldap
lie ad-honest
ask read
said INVALID "kind: an Active Directory is not read as something else"
kind=ad
lie honest
ask read
said INVALID "kind: and nothing else as one"
grep -q "kind: openldap" "$work/answer"
point $? "kind: the message tells what to write"

# --- L01: what is typed is a value, in every form

lie ad-honest
n=0
for name in '*)(sAMAccountName=*))(|(sAMAccountName=*' 'al*' '*' '\2a' 'CLINIC\*' 'CLINIC\alice)(|(objectClass=*' '*@clinic.test' 'al*@clinic.test'; do
  n=$((n + 1))
  ask find "$name"
  said NOT_FOUND "L01: name $n finds nobody"
  ! grep "base=$base" "$work/journal" | grep -q "=present\|tag"
  point $? "L01: name $n is neither a presence nor a pattern"
done
ask find '*)(nETBIOSName=*\alice'
said NOT_FOUND "L01: nor does a domain become a filter"
saw "(nETBIOSName=$(printf '*)(nETBIOSName=*' | od -An -v -tx1 | tr -d ' \n'))" "L01: it arrives as one value"

# --- L03: an empty password

lie ad-honest
ask method alice ' '
saw_no "password=0" "L03: nothing of length 0 is sent"
: >"$work/journal"
ask check "CN=Alice Smith,OU=Staff,DC=clinic,DC=test" ''
has "outcome: refused" "L03: an empty password is refused"
saw_no "bind" "L03: and not sent"

# --- L04: nobody, two, another place, another person, no identity, no state

for case in none:NOT_FOUND two:AMBIGUOUS other-dn:NOT_FOUND other-person:NOT_FOUND no-id:NOT_FOUND two-ids:NOT_FOUND short-id:NOT_FOUND \
  no-control:NOT_FOUND empty-control:NOT_FOUND two-controls:NOT_FOUND strange-control:NOT_FOUND no-end:NOT_FOUND bad-end:NOT_FOUND \
  no-sid:NOT_FOUND no-primary:NOT_FOUND computer:NOT_FOUND text-id:NOT_FOUND id-named-twice:LDAP other-id:NOT_FOUND two-logins:NOT_FOUND \
  huge-control:NOT_FOUND trust:NOT_FOUND bad-sid:NOT_FOUND; do
  lie "ad-${case%:*}"
  ask login alice willow-lantern-42
  said "${case#*:}" "L04: ${case%:*} is refused"
  saw_no "bind dn=CN=Alice" "L04: ${case%:*}: no password was tried"
done
for mode in no-control empty-control no-end no-sid no-primary; do
  lie "ad-$mode"
  ask read
  said INCOMPLETE "L04: $mode: nothing is concluded when nobody's state can be read"
  grep -q "Give cn=svc,dc=clinic,dc=test the right" "$work/answer"
  point $? "L04: $mode: the message tells what to do"
done
lie ad-no-member-of
ask read
said INCOMPLETE "L04: members who cannot be seen to be some are no answer: sign-ins would end their roles"
lie ad-some-hidden
ask read
said OK "L04: one whose state is hidden does not keep the others from being read"
has "people: 1" "L04: but is none of them"
has "skipped: 1" "L04: and is named"

# --- L05: one naming context; whatever is referred to all the same makes the answer incomplete

lie ad-honest
ask read
said OK "L05: at the root of a domain nothing is referred to when it is asked for alone"
lie ad-reference
ask read
said INCOMPLETE "L05: a reference counts"
ask find alice
said INCOMPLETE "L05: at a sign-in, too"
saw_no leak "L05: and is not followed"

# --- L07: every form of one name is one person; a form that is not his is nobody

lie ad-honest
for name in alice ALICE alice@clinic.test Alice@CLINIC.TEST 'CLINIC\alice' 'clinic\ALICE' 'clinic.test\alice'; do
  ask method "$name" willow-lantern-42
  has "key: $guid" "L07: $name is the same person"
done
for name in 'alice ' ' alice' 'OTHER\alice' '\alice' 'CLINIC\' 'CLINIC \alice' 'NOSUCH\alice' 'CLINIC\CLINIC\alice' alice@other.test $'al\xc4\xb1ce' \
  $'\xc2\xa0alice' alice@clinic.test.evil.test; do
  ask method "$name" willow-lantern-42
  has "key: -" "L07: \"$name\" is nobody"
done
lie ad-foreign-domain
ask find 'CLINIC\alice'
said NOT_FOUND "L07: a domain of that name elsewhere is another one"
lie ad-two-forms
ask find alice@clinic.test
said AMBIGUOUS "L07: a name that is one's principal name and another's login name is nobody's"
lie ad-no-accent
ask find rene
said NOT_FOUND "L07: a server that compares without accents does not decide who somebody is"
ask find $'ren\xc3\xa9'
said OK "L07: while the name itself does"
ask find $'rene\xcc\x81'
said OK "L07: in either Unicode form"

# --- L08: groups by their whole name and place

for mode in elsewhere no-groups; do
  lie "ad-$mode"
  ask find alice
  said OK "L08: $mode: the person is found"
  has_not "^rule: admins" "L08: $mode gives no role by its name"
done
lie ad-elsewhere
ask find alice
has_not "^rule: sandbox" "L08: a group outside of the group base gives nothing, though a rule names it"
ask read
has_not "^group: admins cn=admins,ou=sandbox" "L08: nor is it read"
lie ad-circle
ask find alice
has "rule: a" "L08: a circle gives its roles"
has "rule: b" "L08: all of them"
ask agree
has "same: 1" "L08: to a full read as well"
lie ad-foreign
ask agree
has "same: 1" "L08: members from elsewhere are nobody, and harm nobody"
lie ad-escapes
ask agree
has "same: 1" "L08: one DN in two spellings is one"
ask find alice
has "rule: admins" "L08: and in its group"
for mode in bottomless many; do
  lie "ad-$mode"
  ask find alice
  [ "$(result)" = INCOMPLETE ] || [ "$(result)" = DEADLINE ]
  point $? "L08: $mode ends, and not with a yes ($(result))"
done
lie ad-primary-hidden
ask find alice
said INCOMPLETE "L08: a primary group that is hidden is no answer"
ask read
said INCOMPLETE "L08: to a full read neither"
lie ad-primary-another
ask find alice
said INCOMPLETE "L08: nor is another group than the primary one"
ask read
said INCOMPLETE "L08: to a full read neither"

# --- L09: an address that one has written into his own entry

lie ad-mail-taken
ask method bob@clinic.test willow-lantern-42
has "outcome: refused" "L09: another's principal name as one's own mail address signs nobody in"
has "reason: ambiguous" "L09: neither of the two"
saw_no "bind dn=CN=" "L09: and no password was tried"
ask method bob willow-lantern-42
has "outcome: ok" "L09: whose login name it is not is not kept out"

# --- L10: states; a yes of the bind does not outweigh the entry

lie ad-disabled
ask find alice
has "reason: disabled" "L10: userAccountControl 514"
lie ad-disabled-more
ask find alice
has "reason: disabled" "L10: userAccountControl 66050"
for mode in expired 1601; do
  lie "ad-$mode"
  ask find alice
  has "reason: expired" "L10: $mode has passed"
done
for mode in 9999 zero; do
  lie "ad-$mode"
  ask find alice
  has "active: 1" "L10: $mode has not"
done
for case in locked:refused:locked strange-computed:refused:locked old-password:"password expired":password_expired must-change:"must change":must_change; do
  mode=${case%%:*}
  outcome=${case#*:}
  lie "ad-$mode"
  ask find alice
  has "active: 1" "L10: $mode disables nobody"
  ask method alice willow-lantern-42
  has "outcome: ${outcome%:*}" "L10: $mode is refused although the bind says yes"
  has "reason: ${outcome#*:}" "L10: $mode: for that reason"
done

# --- why a bind is refused: told to the right password alone, and to the help desk

for case in 530:hours:hours 531:workstation:workstation 532:"password expired":password_expired 533:closed:disabled 701:ended:expired \
  773:"must change":must_change 775:refused:locked 525:refused:wrong_password 52f:refused:wrong_password; do
  number=${case%%:*}
  outcome=${case#*:}
  lie "ad-data-$number"
  ask method alice willow-lantern-42
  has "outcome: ${outcome%:*}" "words: $number is ${outcome%:*}"
  has "reason: ${outcome#*:}" "words: $number is recorded as ${outcome#*:}"
  grep -q "^detail: $number: " "$work/answer"
  point $? "words: $number is explained to the help desk"
  ask method alice wrong
  has "outcome: refused" "words: $number: a wrong password learns nothing"
  has "reason: wrong_password" "words: $number: and is recorded as such"
done
lie ad-words
ask method alice willow-lantern-42
has "outcome: refused" "words: others than those of a domain controller mean nothing"
has "detail: -" "words: nor are they explained"
lie ad-long-words
ask method alice willow-lantern-42
has "outcome: refused" "words: with more behind them they mean nothing"
! grep -q $'[\x1b\r]' "$work/answer"
point $? "words: and steer no terminal"
lie ad-yes-with-words
ask method alice willow-lantern-42
has "outcome: refused" "words: behind another code they mean nothing"

# --- groups with more members than are told at once

lie ad-range
ask read
said OK "range: all parts are read"
[ "$(grep -c '^member: cn=person' "$work/answer")" = 3700 ] && [ "$(grep '^member: cn=person' "$work/answer" | sort -u | wc -l)" = 3700 ]
point $? "range: every member once"
for mode in gap again short none empty changed strange both twice gone another; do
  lie "ad-range-$mode"
  ask read
  [ "$(result)" = INCOMPLETE ] || { [ "$(result)" = LDAP ] && [ "$mode" = strange -o "$mode" = twice ]; }
  point $? "range: $mode is not whole ($(result))"
done
lie ad-range-above
ask find alice
said INCOMPLETE "range: somebody in more groups than are told at once is not known completely"
finish
