# SPDX-License-Identifier: AGPL-3.0-or-later
"""A name server that misbehaves, in a network and mount namespace of the test's own, so that nothing of the machine's is touched.

    import names; names.apart()         # first of all: the test starts itself again inside, or says why it cannot
    server = names.NameServer({"dc1.annex.test": "127.0.0.1"})
    server.mode = "nxdomain"

Modes: ok | nxdomain | servfail | refused | hang | empty (no address, no error) | garbage | foreign (another question's answer) | cut (TC, and no TCP)
"""
import fcntl
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading

MARK = "KEYWARD_FLOW_APART"


def apart():
    """Goes on in namespaces of its own with a loopback network and a resolv.conf that names 127.0.0.1; skips the test where that is not allowed."""
    if os.environ.get(MARK):
        _settle()
        return
    options = ["-m", "-n", "--propagation", "private"] if os.geteuid() == 0 else ["-U", "-r", "-m", "-n", "--propagation", "private"]
    if subprocess.run(["unshare", *options, "true"], capture_output=True, check=False).returncode == 0:
        os.environ[MARK] = "1"
        os.execvp("unshare", ["unshare", *options, sys.executable, *sys.argv])
    print("ok 1 - a name server of its own # SKIP neither root nor user namespaces\n1..1")
    sys.exit(0)


def _settle():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        # SIOCSIFFLAGS: lo is down in a new network namespace
        fcntl.ioctl(sock, 0x8914, struct.pack("16sH14x", b"lo", 0x1 | 0x40))
    file = tempfile.NamedTemporaryFile("w", prefix="keyward-resolv-", dir="/tmp", delete=False)
    file.write("nameserver 127.0.0.1\n")
    file.close()
    os.chmod(file.name, 0o644)
    subprocess.run(["mount", "--bind", file.name, "/etc/resolv.conf"], check=True)
    # the mount keeps it; nothing has to be tidied up later
    os.unlink(file.name)


def resolver(options=""):
    """What the resolv.conf of these namespaces says; a process that starts then reads it."""
    with open("/etc/resolv.conf", "w") as file:
        file.write(f"nameserver 127.0.0.1\n{options}\n")


class NameServer:
    def __init__(self, names):
        self.names, self.mode, self.asked = dict(names), "ok", 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            data, peer = self.sock.recvfrom(4096)
            answer = self._answer(data)
            if answer is not None:
                self.sock.sendto(answer, peer)

    def _answer(self, data):
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode())
            at += 1 + data[at]
        question, kind = data[12:at + 5], struct.unpack(">H", data[at + 1:at + 3])[0]
        name = ".".join(labels)
        if name in self.names:
            self.asked += 1
        if self.mode == "hang":
            return None
        if self.mode == "garbage":
            return data[:2] + b"\xff" * 40
        address = self.names.get(name)
        code = {"nxdomain": 3, "servfail": 2, "refused": 5}.get(self.mode, 0 if address else 3)
        flags = 0x8180 | code | (0x0200 if self.mode == "cut" else 0)
        if self.mode == "foreign":
            question = b"\x05other\x04test\x00" + question[-4:]
        record = b""
        if code == 0 and kind == 1 and address and self.mode not in ("empty", "cut"):
            record = (question[:-4] if self.mode == "foreign" else b"\xc0\x0c") + struct.pack(">HHIH", 1, 1, 1, 4) + socket.inet_aton(address)
        return data[:2] + struct.pack(">HHHHH", flags, 1, 1 if record else 0, 0, 0) + question + record
