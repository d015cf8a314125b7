#!/usr/bin/python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""A lying LDAP server.

    fakeldap.py FOLDER <orders

FOLDER holds the certificates NAME.pem and NAME.key.  Each order is a line "MODE ldaps|starttls CERTIFICATE new|old" (old: no TLS
above 1.1); for each a loopback port of the system's choice is opened and written to FOLDER/ready.  A second port is where referrals
lead to.  Every request that arrives is a line of FOLDER/journal, with "clear" or "tls" in front:

    tls bind dn=cn=svc,dc=x password=14          (its length)
    tls search base=... filter=(uid=616c696365)  (values in hexadecimal)
    leak                                         (somebody came to the second port)

MODE says how it lies; see PEOPLE, GROUPS and what Client does by mode.  Those that begin with "ad-" are an Active Directory's (fakead.py).
"""
import os
import socket
import ssl
import sys
import threading
import time

import fakead

BASE = "ou=people,dc=clinic,dc=test"
ALICE = "uid=alice," + BASE
ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
OTHER_ID = "1f8fad5b-d9cb-469f-a165-70867728950e"
PASSWORD = "willow-lantern-42"
SERVICE = "cn=svc,dc=clinic,dc=test"
PAGED = b"1.2.840.113556.1.4.319"


def tlv(tag, *parts):
    body = b"".join(p if isinstance(p, bytes) else p.encode() for p in parts)
    n = len(body)
    if n < 0x80:
        head = bytes([n])
    else:
        size = (n.bit_length() + 7) // 8
        head = bytes([0x80 | size]) + n.to_bytes(size, "big")
    return bytes([tag]) + head + body


def integer(n):
    return tlv(2, n.to_bytes(n.bit_length() // 8 + 1, "big"))


def message(number, body, controls=b""):
    return tlv(0x30, integer(number), body, controls)


def result(tag, code, words="", more=b""):
    return tlv(tag, tlv(10, bytes([code])), tlv(4, ""), tlv(4, words), more)


def entry(dn, attributes):
    listed = [tlv(0x30, tlv(4, name), tlv(0x31, *[tlv(4, v) for v in values])) for name, values in attributes]
    return tlv(0x64, tlv(4, dn), tlv(0x30, *listed))


def paging(cookie=b""):
    return tlv(0xA0, tlv(0x30, tlv(4, PAGED), tlv(4, tlv(0x30, integer(0), tlv(4, cookie)))))


def person(dn=ALICE, login=("alice",), ids=(ID,), more=()):
    return entry(dn, [("uid", login), ("cn", ["Alice Smith"]), ("entryUUID", ids), ("mail", ["alice@clinic.test"])] + list(more))


def parse(data, at=0):
    """One TLV: tag, content, where it ends."""
    tag, n = data[at], data[at + 1]
    at += 2
    if n & 0x80:
        size = n & 0x7F
        n = int.from_bytes(data[at:at + size], "big")
        at += size
    return tag, data[at:at + n], at + n


def parts(data):
    at, out = 0, []
    while at < len(data):
        tag, body, at = parse(data, at)
        out.append((tag, body))
    return out


def filter_text(tag, body):
    """The filter with its values in hexadecimal, so that nothing in them can look like structure."""
    if tag in (0xA0, 0xA1):
        return "(" + "&|"[tag - 0xA0] + "".join(filter_text(*p) for p in parts(body)) + ")"
    if tag == 0xA2:
        return "(!" + filter_text(*parts(body)[0]) + ")"
    if tag == 0xA3:
        name, value = parts(body)
        return f"({name[1].decode()}={value[1].hex()})"
    if tag == 0x87:
        return f"({body.decode()}=present)"
    return f"(tag{tag:02x}:{body.hex()})"


# What the search for people answers, by mode; anything else is Alice alone.
PEOPLE = {
    "none": [],
    "two": [person(), person("uid=alice,ou=more," + BASE, ids=(OTHER_ID,))],
    "many": [person(f"uid=a{i}," + BASE, ids=(ID[:-2] + f"{i:02x}",)) for i in range(40)],
    "other-dn": [person("uid=alice,ou=service,dc=clinic,dc=test")],
    "other-person": [person("uid=boss," + BASE, login=("boss",))],
    "no-id": [person(ids=())],
    "two-ids": [person(ids=(ID, OTHER_ID))],
    "id-named-twice": [person(more=[("entryUUID", [OTHER_ID])])],
    "two-logins": [person(login=("alice", "boss"))],
    "nul-dn": [person("uid=alice\0," + BASE)],
    "huge-value": [person(more=[("title", ["x" * 1100000])])],
    "hostile": [person(login=(b"al\xffice",)), person("uid=b," + BASE, login=("b\nc",), ids=(OTHER_ID,)),
                person("uid=c," + BASE, login=("c",), ids=("2f8fad5b-d9cb-469f-a165-70867728950e",), more=[("title", [b"\xff"])])],
    "locked-for-good": [person(more=[("pwdAccountLockedTime", ["000001010000Z"])])],
    "locked": [person(more=[("pwdAccountLockedTime", ["20270101000000Z"])])],
    "expired": [person(more=[("pwdEndTime", ["20200101000000Z"])])],
    "bad-end": [person(more=[("pwdEndTime", ["whenever"])])],
}


def group(name, members, number, base="ou=groups,dc=clinic,dc=test"):
    return entry(f"cn={name},{base}", [("cn", [name]), ("entryUUID", [f"{number:08x}-0000-4000-8000-000000000000"]), ("member", members)])


GROUPS = {
    # the name is right, the place is not: rules name cn=admins,ou=groups,...
    "group-elsewhere": [group("admins", [ALICE], 1, "ou=sandbox,ou=groups,dc=clinic,dc=test"), group("Admins ", [ALICE], 2, "ou=x,ou=groups,dc=clinic,dc=test")],
    "group-comma": [entry("cn=admins\\,ou\\=groups,ou=groups,dc=clinic,dc=test", [("entryUUID", ["00000003-0000-4000-8000-000000000000"])])],
    "group-outside": [entry("cn=admins,ou=groups,dc=evil,dc=test", [("entryUUID", ["00000004-0000-4000-8000-000000000000"])])],
    "group-doubled": [group("admins", [ALICE], 5), group("ADMINS", [ALICE], 6)],
    "group": [group("admins", [ALICE], 7)],
}
CIRCLE = {"member-a": ("b", 11), "member-b": ("a", 10)}


class Client:
    def __init__(self, server, sock):
        self.server, self.sock, self.is_tls = server, sock, False
        self.mode, self.pages = server.mode, 0

    def log(self, text):
        self.server.log(("tls " if self.is_tls else "clear ") + text)

    def send(self, data):
        self.sock.sendall(data)

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def request(self):
        head = self.read(2)
        n = head[1]
        if n & 0x80:
            n = int.from_bytes(self.read(n & 0x7F), "big")
        number, operation, *rest = parts(self.read(n))
        return int.from_bytes(number[1], "big"), operation, rest

    def tls(self):
        try:
            self.sock = self.server.context.wrap_socket(self.sock, server_side=True)
        except (ssl.SSLError, OSError) as error:
            self.log(f"handshake-failed {type(error).__name__}")
            raise EOFError from error
        self.is_tls = True
        self.log("handshake")

    def stall(self):
        self.server.stalled.wait()
        raise EOFError

    def drip(self, data):
        for byte in data:
            self.send(bytes([byte]))
            time.sleep(1)
        self.stall()

    def start_tls(self, number):
        self.log("starttls")
        yes = message(number, result(0x78, 0, "", tlv(0x8A, "1.3.6.1.4.1.1466.20037")))
        bind_yes = message(1, result(0x61, 0)) + message(2, result(0x61, 0))
        if self.mode == "starttls-refused":
            return self.send(message(number, result(0x78, 52, "no TLS today")))
        if self.mode == "starttls-protocol-error":
            return self.send(message(number, result(0x78, 2)))
        if self.mode == "starttls-clear":
            return self.send(yes)
        if self.mode == "inject-before":
            self.send(bind_yes)
        if self.mode == "inject-unsolicited":
            self.send(message(0, result(0x78, 0)))
        self.send(yes + bind_yes if self.mode == "inject-after" else yes)
        return self.tls()

    def bind(self, number, body):
        _, dn, secret = parts(body)
        dn, password = dn[1].decode(), secret[1]
        self.log(f"bind dn={dn} password={len(password)}")
        code = 0 if not password or dn == SERVICE or password.decode() == PASSWORD else 49
        if self.mode.startswith("ad-") and dn != SERVICE:
            return self.send(message(number, result(0x61, *fakead.bind(self.mode, code))))
        if self.mode == "bind-referral":
            refer = tlv(0xA3, tlv(4, f"ldap://127.0.0.1:{self.server.leak_port}/"))
            return self.send(message(number, result(0x61, 10, "", refer)))
        if self.mode == "bind-half":
            self.send(message(number, result(0x61, 0))[:6])
            self.stall()
        if self.mode == "bind-drip":
            self.drip(message(number, result(0x61, 0)))
        if self.mode == "bind-silent":
            self.stall()
        while self.mode == "bind-flood":
            # answers to questions that nobody asked, as fast as they go
            self.send(message(0x7000, result(0x65, 0)) * 1000)
        if self.mode == "bind-huge":
            self.send(b"\x30\x84\x3f\xff\xff\xff\x02\x01\x01" + bytes(1000))
            self.stall()
        if self.mode == "bind-garbage":
            return self.send(b"HTTP/1.1 200 OK\r\n\r\n" * 10)
        if self.mode == "bind-wrong-number":
            return self.send(message(number + 40, result(0x61, 0)))
        if self.mode == "bind-wrong-kind":
            return self.send(message(number, result(0x65, 0)))
        if self.mode == "bind-busy":
            code = 51
        if self.mode == "person-locked" and dn != SERVICE:
            return self.send(message(number, result(0x61, 19, "Exceed password retry limit. Please try later.")))
        if self.mode == "person-silent" and dn != SERVICE and code:
            self.stall()
        if self.mode == "bind-control-lies" and dn != SERVICE:
            # a wrong password whose policy control tells "must change", which would mean that the password was right
            control = tlv(0xA0, tlv(0x30, tlv(4, "1.3.6.1.4.1.42.2.27.8.5.1"), tlv(4, tlv(0x30, tlv(0x81, b"\x02")))))
            return self.send(message(number, result(0x61, 49), control))
        return self.send(message(number, result(0x61, code)))

    def found(self, base, wanted):
        """Entries for a search below base, whose filter is wanted."""
        if base == "":
            return [entry("", [("objectClass", ["top", "OpenLDAProotDSE"]), ("namingContexts", ["dc=clinic,dc=test"])])]
        if "groups" not in base:
            return PEOPLE.get(self.mode, [person()])
        if self.mode == "group-circle":
            return [group("a", [], 10)] if "636e3d62" in wanted or ALICE.encode().hex() in wanted else [group("b", [], 11)]
        if self.mode == "group-bottomless":
            self.server.depth += 1
            return [group(f"deep{self.server.depth}", [], 100 + self.server.depth)]
        if self.mode == "group-flood":
            self.server.depth += 500
            return [group(f"f{i}", [], 100 + i) for i in range(self.server.depth, self.server.depth + 500)]
        return GROUPS.get(self.mode, [])

    def search_ad(self, number, base, wanted, attributes, controls, is_paged):
        """One naming context when the critical control asks for it, else a reference to another one."""
        is_scoped = any(fakead.DOMAIN_SCOPE in body and tlv(1, b"\xff") in body for _, body in controls)
        found = fakead.found(self.mode, base, wanted, attributes, self.server)
        for dn, listed in found or []:
            self.send(message(number, entry(dn, listed)))
        if self.mode == "ad-reference" or (base and not is_scoped):
            self.send(message(number, tlv(0x73, tlv(4, f"ldaps://127.0.0.1:{self.server.leak_port}/CN=Configuration,DC=clinic,DC=test"))))
        self.send(message(number, result(0x65, 0 if found is not None else 32), paging() if is_paged else b""))

    def search(self, number, body, controls):
        listed = parts(body)
        base, wanted = listed[0][1].decode(), filter_text(*listed[6])
        self.log(f"search base={base} filter={wanted}")
        is_paged = any(PAGED in body for _, body in controls)
        if self.mode.startswith("ad-"):
            return self.search_ad(number, base, wanted, [name.decode() for _, name in parts(listed[7][1])], controls, is_paged)
        entries = self.found(base, wanted)
        refer = message(number, tlv(0x73, tlv(4, f"ldap://127.0.0.1:{self.server.leak_port}/dc=x")))
        if self.mode == "search-cut":
            self.send(message(number, entries[0])[:20])
            raise EOFError
        for e in entries:
            self.send(message(number, e))
        if self.mode == "search-eof":
            raise EOFError
        if self.mode == "search-silent":
            self.stall()
        if self.mode == "search-drip":
            self.drip(message(number, result(0x65, 0)))
        if self.mode == "search-reference":
            self.send(refer)
        if self.mode == "search-referral":
            more = tlv(0xA3, tlv(4, f"ldap://127.0.0.1:{self.server.leak_port}/"))
            return self.send(message(number, result(0x65, 10, "", more)))
        if self.mode == "search-disconnect":
            self.send(message(0, result(0x78, 52, "", tlv(0x8A, "1.3.6.1.4.1.1466.20036"))))
            raise EOFError
        code = {"search-size": 4, "search-time": 3, "search-admin": 11, "search-busy": 51, "search-gone": 32}.get(self.mode, 0)
        cookie = b""
        if self.mode == "pages-cut":
            self.pages += 1
            if self.pages == 2:
                raise EOFError
            cookie = b"next"
        if self.mode == "pages-endless":
            entries, cookie = [], b"next"
        control = paging(cookie) if is_paged and self.mode != "pages-ignored" else b""
        return self.send(message(number, result(0x65, code), control))

    def serve(self):
        if self.mode == "tcp-silent":
            self.stall()
        if self.mode == "tls-garbage":
            self.send(b"\x16\x03\x03\x00\x10" + bytes(16))
            self.stall()
        if self.mode == "tls-half":
            self.send(b"\x16\x03\x03\x10\x00\x02")
            self.stall()
        if self.mode == "tls-drip":
            self.drip(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb" + bytes(1000))
        if self.mode == "starttls-half":
            self.request()
            self.send(b"\x30\x0c\x02")
            self.stall()
        if self.mode == "starttls-huge":
            self.request()
            self.send(b"\x30\x84\x7f\xff\xff\xff" + bytes(5000))
            self.stall()
        if self.server.has_ldaps:
            self.tls()
        while True:
            number, (tag, body), rest = self.request()
            if tag == 0x77 and b"1466.20037" in body:
                self.start_tls(number)
            elif tag == 0x60:
                self.bind(number, body)
            elif tag == 0x63:
                self.search(number, body, parts(rest[0][1]) if rest else [])
            elif tag == 0x42:
                return
            else:
                self.log(f"request {tag:02x}")


class Server:
    def __init__(self, folder, mode, how, certificate, age, leak_port):
        self.mode, self.has_ldaps, self.leak_port = mode, how == "ldaps", leak_port
        self.journal = open(f"{folder}/journal", "a", encoding="utf-8", buffering=1)
        self.lock, self.stalled, self.depth = threading.Lock(), threading.Event(), 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if age == "old":
            self.context.minimum_version = ssl.TLSVersion.TLSv1
            self.context.maximum_version = ssl.TLSVersion.TLSv1_1
            self.context.set_ciphers("ALL:@SECLEVEL=0")
        self.context.load_cert_chain(f"{folder}/{certificate}.pem", f"{folder}/{certificate}.key")
        self.listener = listen()
        self.port = self.listener.getsockname()[1]

    def log(self, text):
        with self.lock:
            self.journal.write(text + "\n")

    def one(self, sock):
        try:
            Client(self, sock).serve()
        except (EOFError, OSError, ValueError, IndexError):
            pass
        finally:
            sock.close()

    def run(self):
        while True:
            sock, _ = self.listener.accept()
            self.log("connect")
            threading.Thread(target=self.one, args=(sock,), daemon=True).start()


def listen():
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(64)
    return sock


def watch_leak(folder, listener):
    while True:
        sock, _ = listener.accept()
        with open(f"{folder}/journal", "a", encoding="utf-8") as journal:
            journal.write("leak\n")
        sock.close()


def main():
    folder, leak = sys.argv[1], listen()
    threading.Thread(target=watch_leak, args=(folder, leak), daemon=True).start()
    for order in sys.stdin:
        server = Server(folder, *order.split(), leak.getsockname()[1])
        threading.Thread(target=server.run, daemon=True).start()
        with open(f"{folder}/ready.new", "w", encoding="utf-8") as file:
            file.write(f"{server.port}\n")
        os.rename(f"{folder}/ready.new", f"{folder}/ready")


if __name__ == "__main__":
    main()
