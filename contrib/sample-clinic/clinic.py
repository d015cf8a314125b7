# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the sample clinic's directories have in common: who works there, and which groups lie in which.

make-ldif beside this writes it for OpenLDAP, contrib/ad-fixture/provision.py for Active Directory.
"""
import datetime
import os

PEOPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "people.tsv")

# Groups of groups; members that stand in no column of people.tsv.  quality-board and hygiene-board form a circle.
NESTED = {
    "downtown-providers": ("downtown-physicians", "downtown-practitioners"),
    "harbour-providers": ("harbour-physicians", "harbour-practitioners"),
    "hillside-providers": ("hillside-physicians", "hillside-practitioners"),
    "all-providers": ("downtown-providers", "harbour-providers", "hillside-providers"),
    "all-nurses": ("downtown-nurses", "harbour-nurses", "hillside-nurses"),
    "site-downtown": ("downtown-managers", "downtown-providers", "downtown-nurses", "downtown-frontdesk", "downtown-billing"),
    "site-harbour": ("harbour-managers", "harbour-providers", "harbour-nurses", "harbour-frontdesk", "harbour-billing", "harbour-stock"),
    "site-hillside": ("hillside-managers", "hillside-providers", "hillside-nurses", "hillside-frontdesk", "hillside-billing"),
    "region-coast": ("coast-managers", "site-downtown", "site-harbour"),
    "region-inland": ("inland-managers", "site-hillside"),
    "all-staff": ("clinic-owners", "region-coast", "region-inland", "phone-agents"),
    "quality-board": ("hygiene-board",),
    "hygiene-board": ("quality-board",),
}


def read_people(path=PEOPLE, n_before=0):
    """The staff of a file; n_before people were numbered already."""
    people = []
    with open(path, encoding="utf-8") as file:
        for text in file:
            text = text.rstrip("\n")
            if not text or text.startswith("#"):
                continue
            login, given, family, title, *rest = text.split("\t")
            groups = [g for g in (rest[0] if rest else "").split(",") if g]
            marks = dict(m.split("=", 1) if "=" in m else (m, "yes") for m in rest[1:])
            people.append(dict(login=login, given=given, family=family.strip(), title=title, groups=groups, marks=marks,
                               cn=marks.get("cn", f"{given} {family.strip()}"), display_name=f"{given} {family.strip()}",
                               mail=None if "no-mail" in marks else marks.get("mail", f"{login}@clinic.test")))
    for number, person in enumerate(people, n_before + 1):
        person.update(employee_number=f"T{1000 + number}", phone=f"+1 555 01{number:02d}")
    return people


def end_of(marks, now):
    """When an account with the mark ends=+30d ends; None without it."""
    return now + datetime.timedelta(days=int(marks["ends"].rstrip("d"))) if "ends" in marks else None
