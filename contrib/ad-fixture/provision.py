#!/usr/bin/python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Makes the database of a Samba AD domain controller and puts the sample clinic into it.  For ad.sh, which starts the controller.

    provision.py DC-FOLDER            the domain CLINIC.TEST, the people, groups and the service account, a keytab of that account
    provision.py DC-FOLDER bulk N     N invented people with five groups each, besides

Passwords come from the environment: ADMIN_PASSWORD, SAMPLE_PASSWORD, SERVICE_PASSWORD.  By the functions behind samba-tool: one process
instead of a dozen, and no access list on files, which only root could set.

The tree is the one that make-ldif gives OpenLDAP: ou=people, ou=groups and ou=service below dc=clinic,dc=test, so that the same rules hold.
What Active Directory cannot hold alike: a person's cn names the entry and is unique in its folder (a second one gets the login behind it), and
no cn, given name or family name is longer than 64 characters (the rest is cut off).
"""
import datetime
import logging
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "sample-clinic"))

import ldb  # noqa: E402
from clinic import NESTED, end_of, read_people  # noqa: E402
from samba.auth import system_session  # noqa: E402
from samba.net import Net  # noqa: E402
import samba.dckeytab  # noqa: E402,F401  (gives Net its export_keytab)
from samba.credentials import Credentials  # noqa: E402
from samba.param import LoadParm  # noqa: E402
from samba.provision import FILL_FULL, provision  # noqa: E402
from samba.samdb import SamDB  # noqa: E402

REALM, DOMAIN, HOST, SUFFIX = "CLINIC.TEST", "CLINIC", "dc1", "dc=clinic,dc=test"
NAME_MAX = 64
# Lets the time of the last password change be set, on the database itself (DSDB_CONTROL_BYPASS_PASSWORD_HASH_OID ... _LAST_SET).
BYPASS = ["local_oid:1.3.6.1.4.1.7165.4.3.12:0"]
NORMAL, DISABLED, NEVER_EXPIRES = 0x200, 0x2, 0x10000


def filetime(when):
    """Hundreds of nanoseconds since 1601."""
    return str(int((when - datetime.datetime(1601, 1, 1)).total_seconds()) * 10_000_000)


def interval(days):
    return str(-days * 86400 * 10_000_000)


class Domain:
    def __init__(self, folder):
        self.folder, self.conf = folder, os.path.join(folder, "etc", "smb.conf")
        self.db = self.lp = None

    def provision(self):
        for name in ("private", "state", "cache", "run", "state/sysvol", "bind-dns"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        logger = logging.getLogger("provision")
        logger.addHandler(logging.StreamHandler())
        provision(logger, system_session(), smbconf=self.conf, targetdir=None, samdb_fill=FILL_FULL, realm=REALM, domain=DOMAIN, hostname=HOST,
                  hostip="127.0.0.1", adminpass=os.environ["ADMIN_PASSWORD"], serverrole="active directory domain controller", dns_backend="NONE",
                  skip_sysvolacl=True, dom_for_fun_level=4, useeadb=True)

    def open(self):
        self.lp = LoadParm()
        self.lp.load(self.conf)
        self.db = SamDB(url=os.path.join(self.folder, "private", "sam.ldb"), session_info=system_session(), lp=self.lp)
        return self

    # ---- entries

    def dn(self, unit, cn):
        """cn=...,ou=UNIT below the suffix; any characters in the cn."""
        dn = ldb.Dn(self.db, f"CN=x,OU={unit},{SUFFIX}")
        dn.set_component(0, "CN", cn)
        return dn

    def add(self, dn, **values):
        self.db.add({"dn": dn, **{name: value for name, value in values.items() if value is not None}})

    def replace(self, dn, controls=(), **values):
        message = ldb.Message(dn)
        for name, value in values.items():
            message[name] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, name)
        self.db.modify(message, list(controls))

    def add_account(self, dn, login, password, **values):
        self.add(dn, objectClass="user", sAMAccountName=login, userPrincipalName=f"{login}@{REALM.lower()}",
                 unicodePwd=f'"{password}"'.encode("utf-16-le"), userAccountControl=str(NORMAL), **values)

    def group_sid(self, name):
        return self.db.search(self.dn("groups", name), ldb.SCOPE_BASE, attrs=["objectSid"])[0]["objectSid"][0]

    # ---- the clinic

    def policy(self):
        """Passwords and lock-out as in the OpenLDAP of the sample clinic; who is locked stays so."""
        self.replace(ldb.Dn(self.db, SUFFIX), lockoutThreshold="20", lockoutDuration=interval(1), lockOutObservationWindow=interval(1),
                     maxPwdAge=interval(365), minPwdAge="0", minPwdLength="1", pwdHistoryLength="0", pwdProperties="0")

    def services(self):
        """The controller's own names for Kerberos, "localhost" among them: tests reach it by that."""
        account = self.db.search(SUFFIX, ldb.SCOPE_SUBTREE, f"(sAMAccountName={HOST}$)", attrs=["servicePrincipalName"])[0]
        message = ldb.Message(account.dn)
        message["n"] = ldb.MessageElement([f"ldap/{name}" for name in (f"{HOST}.{REALM.lower()}", "localhost")], ldb.FLAG_MOD_ADD,
                                          "servicePrincipalName")
        self.db.modify(message)

    def person(self, person, taken, now):
        marks, cn = person["marks"], person["cn"][:NAME_MAX]
        if cn.casefold() in taken:
            cn = f"{cn[:NAME_MAX - len(person['login']) - 3]} ({person['login']})"
        taken.add(cn.casefold())
        dn = self.dn("people", cn)
        self.add_account(dn, person["login"], os.environ["SAMPLE_PASSWORD"], sn=person["family"][:NAME_MAX], givenName=person["given"][:NAME_MAX],
                         displayName=person["display_name"], mail=person["mail"], title=person["title"],
                         employeeID=person["employee_number"], employeeNumber=person["employee_number"], employeeType=marks.get("employeeType"), telephoneNumber=person["phone"])
        self.states(dn, marks, now)
        return dn

    def states(self, dn, marks, now):
        if "disabled" in marks:
            self.replace(dn, userAccountControl=str(NORMAL | DISABLED))
        if "locked" in marks:
            self.replace(dn, lockoutTime=filetime(now), badPwdCount="20", controls=BYPASS)
        if "must-change" in marks:
            self.replace(dn, pwdLastSet="0")
        if "expired-password" in marks:
            self.replace(dn, pwdLastSet=filetime(datetime.datetime(2021, 3, 1, 8)), controls=BYPASS)
        if "ends" in marks:
            self.replace(dn, accountExpires=filetime(end_of(marks, now)))
        if "no-hours" in marks:
            self.replace(dn, logonHours=bytes(21))
        if "one-workstation" in marks:
            self.replace(dn, userWorkstations="FRONTDESK7")

    def groups(self, members):
        for name in sorted(members):
            self.add(self.dn("groups", name), objectClass="group", sAMAccountName=name, groupType="-2147483646")
        for name in sorted(members):
            self.replace(self.dn("groups", name), member=[str(dn) for dn in members[name]])

    def clinic(self):
        now, taken, members = datetime.datetime.utcnow(), set(), {}
        people = read_people()
        people += read_people(os.path.join(HERE, "people-ad.tsv"), len(people))
        for unit in ("people", "groups", "service"):
            self.add(ldb.Dn(self.db, f"OU={unit},{SUFFIX}"), objectClass="organizationalUnit")
        # a plain account: everybody in a domain may read people and groups
        self.add_account(self.dn("service", "keyward"), "keyward", os.environ["SERVICE_PASSWORD"])
        self.replace(self.dn("service", "keyward"), userAccountControl=str(NORMAL | NEVER_EXPIRES))
        for person in people:
            person["dn"] = self.person(person, taken, now)
            for group in person["groups"]:
                members.setdefault(group, []).append(person["dn"])
        for group, inner in NESTED.items():
            members.setdefault(group, []).extend(self.dn("groups", name) for name in inner)
        self.groups(members)
        for person in people:
            if "primary-group" in person["marks"]:
                sid = self.db.schema_format_value("objectSid", self.group_sid(person["marks"]["primary-group"])).decode()
                self.replace(person["dn"], primaryGroupID=sid.rsplit("-", 1)[1])

    def keytab(self, name, principal):
        credentials = Credentials()
        credentials.guess(self.lp)
        file = os.path.join(self.folder, name)
        Net(credentials, self.lp).export_keytab(keytab=file, principal=f"{principal}@{REALM}")
        os.chmod(file, 0o400)

    def bulk(self, n):
        """As slapd.sh bulk: a team, a department, a site, an occupation and everybody."""
        self.add(ldb.Dn(self.db, f"OU=bulk,OU=people,{SUFFIX}"), objectClass="organizationalUnit")
        jobs, members = ("physicians", "nurses", "frontdesk", "billing", "stock"), {}
        self.db.transaction_start()
        for i in range(n):
            login = f"b{i:06d}"
            dn = f"CN={login},OU=bulk,OU=people,{SUFFIX}"
            self.add(ldb.Dn(self.db, dn), objectClass="user", sAMAccountName=login, userPrincipalName=f"{login}@clinic.test", sn=f"Member{i}",
                     givenName="Staff", displayName=f"Staff Member {i}", mail=f"{login}@clinic.test", title="Registered Nurse",
                     employeeID=f"B{i}", telephoneNumber=f"+1 555 {1000000 + i}", userAccountControl=str(NORMAL | 0x20))
            for group in ("bulk-all", f"bulk-site-{i % 20}", f"bulk-{jobs[i % 5]}", f"bulk-dept-{i * 7 % 100}", f"bulk-team-{i * 13 % 500}"):
                members.setdefault(group, []).append(dn)
        self.groups(members)
        self.db.transaction_commit()


def main():
    domain = Domain(os.path.abspath(sys.argv[1]))
    if sys.argv[2:3] == ["bulk"]:
        domain.open().bulk(int(sys.argv[3]))
        return
    domain.provision()
    domain.open()
    domain.db.transaction_start()
    domain.policy()
    domain.services()
    domain.clinic()
    domain.db.transaction_commit()
    domain.keytab("keyward.keytab", "keyward")
    # for tests in which somebody with the controller's own key lies
    domain.keytab("controller.keytab", "ldap/localhost")


if __name__ == "__main__":
    main()
