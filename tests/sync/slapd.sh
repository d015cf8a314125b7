#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# The sample clinic in a real OpenLDAP, over LDAPS and StartTLS: who is read, what state and roles they have, what their passwords do.
[ -n "$BASH_VERSION" ] || exec bash "$0" "$@"
. "${srcdir:-$(dirname "$0")/../..}/tests/lib.sh"

probe=$abs_builddir/tests/attack/directory_probe
fixture=$abs_srcdir/contrib/slapd-fixture/slapd.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/keyward-slapd.XXXXXX")
trap '"$fixture" stop "$work/slapd" >/dev/null 2>&1; rm -rf "$work"' EXIT
if [ ! -x "$probe" ] || [ ! -x /usr/sbin/slapd ] || ! command -v python3 >/dev/null; then
  skip "the sample clinic" "needs slapd"
  finish
fi

# Two free ports, below those that the system gives to whoever wants any: only somebody who picks like this could be quicker than slapd.
free_ports()
{
  python3 -c 'import random, socket
found = []
while len(found) < 2:
    try:
        held = socket.socket()
        held.bind(("127.0.0.1", random.randrange(15000, 32000)))
        found.append(held)
    except OSError:
        pass
print(*(held.getsockname()[1] for held in found))'
}

for _ in 1 2 3; do
  read -r plain secure <<<"$(free_ports)"
  "$fixture" start "$work/slapd" --port "$plain" --tls-port "$secure" --fast >"$work/log" 2>&1 && break
  # it listens nowhere else meanwhile: what was loaded is loaded
  grep -qF "are the ports $plain and $secure free" "$work/log" || break
done
"$fixture" status "$work/slapd" >/dev/null 2>&1 || { sed 's/^/# /' "$work/log"; point 1 "slapd starts"; finish; }

# objects URL STARTTLS: the preset's roles, the directory, the sample clinic's places and rules, as one file
objects()
{
  {
    echo "directories: [{name: clinic, url: '$1', starttls: $2, base: 'ou=people,dc=clinic,dc=test', group_base: 'ou=groups,dc=clinic,dc=test',"
    echo "  bind_dn: 'uid=keyward,ou=service,dc=clinic,dc=test', ca: \"$(awk '{ printf "%s\\n", $0 }' "$work/slapd/tls/ca.pem")\"}]"
    sed -n '/^roles:/,$p' "$abs_srcdir/etc/presets/clinic.yaml"
    # the role that the sample adds goes on with the list
    sed '1,/^roles:/d' "$abs_srcdir/contrib/sample-clinic/clinic.yaml"
  } >"$work/objects.yaml"
}

ask()
{
  "$probe" "$work/objects.yaml" sync-harbour-77 "$@" >"$work/answer" 2>"$work/probe.log"
}

has()
{
  grep -qxF -- "$1" "$work/answer"
  local good=$?
  point $good "$2"
  [ $good -eq 0 ] || sed 's/^/# /' "$work/answer" "$work/probe.log"
}

people=$(grep -cE '^[a-z0-9]+	' "$abs_srcdir/contrib/sample-clinic/people.tsv")
for how in LDAPS StartTLS; do
  case $how in
  LDAPS) objects "ldaps://127.0.0.1:$secure" false ;;
  *) objects "ldap://127.0.0.1:$plain" true ;;
  esac
  ask root
  has "kind: 1" "$how: the server says that it is OpenLDAP"
  ask read
  has "result: OK" "$how: everything is read"
  has "people: $people" "$how: everybody is there"
  has "skipped: 0" "$how: nobody is skipped"
  ask agree
  has "same: $people" "$how: a sign-in finds everybody with the same data and roles as the full read"
done

# --- the same server as one of no known kind, everything told by hand; and as what it is not

objects "ldaps://127.0.0.1:$secure" false
cp "$work/objects.yaml" "$work/known.yaml"
sed -i "s/{name: clinic, url:/{name: clinic, kind: generic, id_attribute: entryUUID, id_form: uuid, login_attribute: uid, name_attribute: displayName, mail_attribute: mail, expires_attribute: pwdEndTime, expires_form: generalized, member_attributes: [member], filter: '(objectClass=inetOrgPerson)', url:/" \
  "$work/objects.yaml"
ask agree
has "result: OK" "generic: configured by hand"
has "same: $people" "generic: a sign-in and a full read agree on everybody"
sed -i "s/id_attribute: entryUUID, id_form: uuid/id_attribute: uid, id_form: text/" "$work/objects.yaml"
ask find quotes
has "id: quotes" "generic: another identifier"
sed "s/{name: clinic, url:/{name: clinic, kind: ad, url:/" "$work/known.yaml" >"$work/objects.yaml"
ask read
has "result: INVALID" "what is no Active Directory is not read as one"
cp "$work/known.yaml" "$work/objects.yaml"

ask find parens
has "rule: providers downtown" "a name with ( ) * is found in its groups"
ask find blanks
has "rule: nurses hillside" "a name with blanks at its ends, quotes and a backslash is found in its groups"
ask find commas
has "rule: providers harbour" "a name with commas is found in its groups"
ask find cashdown
has "rule: managers hillside" "different roles at two sites: one"
has "rule: providers downtown" "different roles at two sites: the other"
ask find mkowalczyk
has "rule: stock by employee type" "a role by attribute"
ask find committee
has "result: OK" "groups in a circle"
ask find rgone
has "reason: disabled" "disabled by an administrator"
ask find formerlocum
has "reason: expired" "past the end of the account"
ask find contractor
has "active: 1" "before the end of the account"
ask find locked
has "active: 1" "locked for a while is not disabled"
ask find-mail frontdesk.downtown@clinic.test
has "result: AMBIGUOUS" "a mail address of two people is nobody's"
ask find-mail mhalloran@clinic.test
has "login: mhalloran" "a mail address of one is his"

ask login mhalloran willow-lantern-42
has "outcome: ok" "the right password"
ask login mhalloran wrong
has "outcome: refused" "a wrong password"
ask login mustchange willow-lantern-42
has "outcome: must change" "a password that must be changed"
ask login stale willow-lantern-42
has "outcome: password expired" "a password that has expired"
ask login stale wrong
has "outcome: refused" "which a wrong one does not learn"
ask login locked willow-lantern-42
has "outcome: locked" "a locked account"

"$probe" "$work/objects.yaml" wrong-password find mhalloran >"$work/answer" 2>"$work/probe.log"
has "result: LDAP" "a service account with a wrong password is the directory's failure, not the person's"
sed -i 's/ou=people,dc=clinic/ou=nowhere,dc=clinic/' "$work/objects.yaml"
ask read
has "result: INCOMPLETE" "a base that is not there is no empty directory"
finish
