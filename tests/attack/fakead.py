# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the lying LDAP server (fakeldap.py) answers as an Active Directory.

Entries are (DN, [(attribute, [values])]); found() gives None where there is nothing.  MODE says how it lies.
"""
DOMAIN_SCOPE = b"1.2.840.113556.1.4.1339"
ROOT = "DC=clinic,DC=test"
PEOPLE, GROUPS = "OU=Staff," + ROOT, "OU=Groups," + ROOT
ALICE = "CN=Alice Smith," + PEOPLE
GUID = bytes.fromhex("d1004755 91f78349 aabed42f cdbc39d7".replace(" ", ""))
OTHER_GUID = bytes.fromhex("d2004755 91f78349 aabed42f cdbc39d7".replace(" ", ""))
DOMAIN = bytes.fromhex("0105000000000005 15000000 4dcebab1 515e89dd 6e3eb412".replace(" ", ""))
NEVER = "9223372036854775807"


def sid(rid):
    return DOMAIN + rid.to_bytes(4, "little")


def person(dn=ALICE, guid=GUID, drop=(), **more):
    """Alice as a domain controller gives her; without what drop names, and with more instead."""
    listed = {
        "objectGUID": [guid], "objectSid": [sid(1102)], "sAMAccountName": ["alice"], "userPrincipalName": ["alice@clinic.test"],
        "displayName": ["Alice Smith"], "mail": ["alice@clinic.test"], "userAccountControl": ["512"],
        "msDS-User-Account-Control-Computed": ["0"], "pwdLastSet": ["134398401482862320"], "primaryGroupID": ["513"],
        "accountExpires": [NEVER], **{name.replace("_", "-"): value if isinstance(value, list) else [value] for name, value in more.items()}}
    return dn, [(name, value) for name, value in listed.items() if name not in drop]


BOB = {"dn": "CN=Bob Jones," + PEOPLE, "guid": OTHER_GUID, "sAMAccountName": "bob", "userPrincipalName": "bob@clinic.test", "mail": "bob@clinic.test"}

PEOPLE_OF = {
    "ad-none": [],
    "ad-two": [person(), person("CN=Alice Smith,OU=More," + PEOPLE, OTHER_GUID)],
    # the principal name of one is the login name at the domain of the other
    "ad-two-forms": [person(), person(**{**BOB, "userPrincipalName": "alice@clinic.test"})],
    "ad-other-dn": [person("CN=Alice Smith,OU=Service,DC=evil,DC=test")],
    "ad-other-person": [person(**BOB)],
    # a server may compare without accents
    "ad-no-accent": [person(sAMAccountName="rené", userPrincipalName="rené@clinic.test")],
    "ad-no-id": [person(drop=["objectGUID"])],
    "ad-two-ids": [person(objectGUID=[GUID, OTHER_GUID])],
    "ad-short-id": [person(objectGUID=[GUID[:15]])],
    "ad-text-id": [person(objectGUID="0f8fad5b-d9cb-469f-a165-70867728950e")],
    "ad-id-named-twice": [(ALICE, person()[1] + [("objectGUID", [OTHER_GUID])])],
    "ad-other-id": [person(drop=["objectGUID"], entryUUID="0f8fad5b-d9cb-469f-a165-70867728950e")],
    "ad-two-logins": [person(sAMAccountName=["alice", "bob"])],
    "ad-huge-control": [person(userAccountControl="99999999999999999999")],
    "ad-trust": [person(userAccountControl="2080")],
    "ad-bad-sid": [person(objectSid="S-1-5-21-1-2-3-1102")],
    "ad-no-control": [person(drop=["userAccountControl"])],
    "ad-empty-control": [person(userAccountControl=[])],
    "ad-two-controls": [person(userAccountControl=["512", "514"])],
    "ad-strange-control": [person(userAccountControl="enabled")],
    "ad-no-end": [person(drop=["accountExpires"])],
    "ad-bad-end": [person(accountExpires="whenever")],
    "ad-no-sid": [person(drop=["objectSid"])],
    "ad-no-primary": [person(drop=["primaryGroupID"])],
    "ad-computer": [person(userAccountControl="4096", sAMAccountName="alice")],
    "ad-some-hidden": [person(), person(**BOB, drop=["userAccountControl"])],
    "ad-disabled": [person(userAccountControl="514")],
    "ad-disabled-more": [person(userAccountControl="66050")],
    "ad-expired": [person(accountExpires="131592384000000000")],
    "ad-1601": [person(accountExpires="1")],
    "ad-9999": [person(accountExpires="2650467743999999999")],
    "ad-zero": [person(accountExpires="0")],
    "ad-locked": [person(**{"msDS_User_Account_Control_Computed": "16"})],
    "ad-strange-computed": [person(**{"msDS_User_Account_Control_Computed": "many"})],
    "ad-old-password": [person(**{"msDS_User_Account_Control_Computed": "8388608"})],
    "ad-must-change": [person(pwdLastSet="0", **{"msDS_User_Account_Control_Computed": "8388608"})],
    "ad-escapes": [person("CN=O'Brien\\, Eve \\+ Co\\#1," + PEOPLE, sAMAccountName="alice")],
}


def group(name, number, members=(), above=(), base=GROUPS, **more):
    listed = [("objectGUID", [number.to_bytes(4, "little") + bytes(12)]), ("cn", [name]), ("objectSid", [sid(2000 + number)])]
    if members:
        listed.append(("member;range=0-*", members))
    if above:
        listed.append(("memberOf", above))
    return f"CN={name},{base}", listed + list(more.items())


EVERYBODY = ("CN=Domain Users,CN=Users," + ROOT, [("objectGUID", [bytes(15) + b"\x01"]), ("cn", ["Domain Users"]), ("objectSid", [sid(513)])])


def dn_of(name):
    return f"CN={name},{GROUPS}"


# What the person's memberOf says, and the groups of the search by mode; else she is in "admins".
MEMBER_OF = {
    "ad-circle": [dn_of("a")],
    "ad-bottomless": [dn_of("deep0")],
    "ad-elsewhere": ["CN=admins,OU=Sandbox," + ROOT, "CN=admins\\,OU\\=Groups," + GROUPS],
    "ad-many": [dn_of(f"g{i}") for i in range(2100)],
}
GROUPS_OF = {
    "ad-circle": [group("a", 10, [dn_of("b"), ALICE], [dn_of("b")]), group("b", 11, [dn_of("a")], [dn_of("a")])],
    "ad-elsewhere": [group("admins", 12, [ALICE], base="OU=Sandbox," + ROOT), group("admins\\,OU\\=Groups", 13, [ALICE])],
    "ad-foreign": [group("admins", 14, [ALICE, "CN=S-1-5-21-1-2-3-1105,CN=ForeignSecurityPrincipals," + ROOT])],
    "ad-escapes": [group("admins", 15, ["CN=O'Brien\\2C Eve \\2B Co#1," + PEOPLE])],
    "ad-no-groups": [],
}
LONG = 3700


def long_group(mode, attributes, server):
    """A group with more members than are told at once; asked for "member;range=FROM-TO"."""
    asked = next(name for name in attributes if name.lower().startswith("member;"))
    first, last = (int(number) for number in asked.split("=")[1].split("-"))
    last = min(last, first + 1499, LONG - 1)
    members = [f"CN=Person {i},{PEOPLE}" for i in range(first, last + 1)]
    name = f"member;range={first}-{'*' if last == LONG - 1 else last}"
    stamp = "4000"
    more = []
    if first > 0:
        server.depth += 1
        if mode == "ad-range-gap":
            name = f"member;range={first + 1}-{'*' if last == LONG - 1 else last + 1}"
        elif mode == "ad-range-again":
            members, name = members, "member;range=0-1499"
        elif mode == "ad-range-short":
            # the last part does not say how many it holds
            members = members[:-1] if last < LONG - 1 else members
        elif mode == "ad-range-none":
            members = []
        elif mode == "ad-range-empty":
            members, name = [], f"member;range={first}-*"
        elif mode == "ad-range-changed":
            stamp = str(4000 + server.depth)
        elif mode == "ad-range-strange":
            name = f"member;range={first}-{last}x"
        elif mode == "ad-range-both":
            more = [("member", [ALICE])]
        elif mode == "ad-range-twice":
            more = [("member;range=0-*", [ALICE])]
        elif mode == "ad-range-gone":
            return None
    dn, listed = group("admins", 21 if mode == "ad-range-another" and first > 0 else 20)
    if members or mode == "ad-range-empty":
        more.append((name, members))
    return [(dn, listed + [("uSNChanged", [stamp])] + more)]


def root():
    return [("", [("objectClass", ["top"]), ("supportedCapabilities", ["1.2.840.113556.1.4.800"]), ("supportedControl", [DOMAIN_SCOPE.decode()]),
                  ("namingContexts", [ROOT]), ("configurationNamingContext", ["CN=Configuration," + ROOT])])]


def partitions(mode):
    ours = "DC=evil,DC=test" if mode == "ad-foreign-domain" else ROOT
    return [("CN=CLINIC,CN=Partitions,CN=Configuration," + ROOT, [("nCName", [ours]), ("nETBIOSName", ["CLINIC"])]),
            ("CN=OTHER,CN=Partitions,CN=Configuration," + ROOT, [("nCName", ["DC=other,DC=test"]), ("nETBIOSName", ["OTHER"])])]


def groups(mode, wanted, attributes, server):
    if mode.startswith("ad-range"):
        return long_group(mode, attributes, server) if any(name.startswith("member;") for name in attributes) else [group("admins", 20)]
    if mode == "ad-bottomless":
        server.depth += 1
        return [group(f"deep{server.depth}", 100 + server.depth, above=[dn_of(f"deep{server.depth + 1}")])]
    return GROUPS_OF.get(mode, [group("admins", 7, [ALICE])])


def found(mode, base, wanted, attributes, server):
    if base == "":
        return root()
    if base.startswith("CN=Partitions,"):
        return partitions(mode)
    if base.startswith("<SID="):
        if mode == "ad-primary-another":
            return [group("admins", 7)]
        return None if mode == "ad-primary-hidden" else [EVERYBODY]
    if base.startswith("<GUID="):
        return groups(mode, wanted, attributes, server)
    people = PEOPLE_OF.get(mode, [person()])
    if mode == "ad-mail-taken":
        # Alice has written Bob's principal name into her own mail address
        people = [person(mail="bob@clinic.test")] if "(mail=" in wanted else [person(**BOB)]
    if attributes == ["memberOf"]:
        # asked for by base, or by distinguishedName
        above = MEMBER_OF.get(mode, [dn_of("admins")])
        name = "memberOf;range=0-1499" if mode == "ad-range-above" else "memberOf"
        return [(dn, [] if mode == "ad-no-member-of" else [(name, above)]) for dn, _ in people if dn == base or dn.encode().hex() in wanted]
    if "OU=Groups" in base:
        return groups(mode, wanted, attributes, server)
    return people


def bind(mode, code):
    """Code and words for a person's bind."""
    if mode.startswith("ad-data-") and code == 0:
        return 49, f"80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {mode[8:]}, v1db1"
    if mode == "ad-long-words" and code == 0:
        return 49, f"80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 773, v1db1\r\n\x1b[31m<script>{'A' * 100000}"
    if mode == "ad-words" and code == 0:
        return 49, "AcceptSecurityContext error, data 773"
    if mode == "ad-yes-with-words":
        return 53, "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 773, v1db1"
    return code, "" if code == 0 else "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 52e, v1db1"
