# SPDX-License-Identifier: AGPL-3.0-or-later
"""Directories that misbehave, for flow tests: a link whose wire can be spoilt while it is in use, and a second directory (the lying server of
tests/attack) behind it, whose only person is Alice.

    link = Link(port)                   # a loopback port of its own in front of 127.0.0.1:port
    link.fault("stall", 20)             # from now on: silent after 20 bytes of an answer

What Link can do to answers (what the daemon sends passes untouched):
    ok | silent (accepted, nothing read) | reset | slow SECONDS (before each piece) | drip (a byte a second)
    stall N, cut N (silence or an end after N bytes) | flip N (each N-th byte of a connection has a bit turned) | refused
"""
import os
import socket
import struct
import subprocess
import sys
import threading
import time

from stage import TOP, Failure, run
from signin import login_field  # its folder is known since stage was imported


# What a person who signs in is promised is an answer within five seconds.  The tests say by its status that a deadline ended it, and by this that
# nothing hangs; a stage with this ldap_timeout has nothing else that would end it sooner, and what its directories do lasts longer still.
HANGS = 25
LDAP_TIMEOUT = 30


class Link:
    def __init__(self, target, port=0, host="127.0.0.1"):
        self.host, self.target, self.mode, self.amount, self.came, self.pieces = host, target, "ok", 0, 0, 0
        self.lock, self.open = threading.Lock(), set()
        # it never listens: while connections are refused, nobody else is given the port
        self.holder, self.listener = self._bound(port), None
        self.port = self.holder.getsockname()[1]
        self._listen()

    def _bound(self, port):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((self.host, port))
        return sock

    def _listen(self):
        self.listener = self._bound(self.port)
        self.listener.listen(64)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def fault(self, mode, amount=0):
        """From now on, for what comes and for what is there; connections that were kept from before are ended, but for slow, drip and silent."""
        self.mode, self.amount = mode, amount
        if mode == "refused" and self.listener:
            # a thread in accept() keeps a closed socket listening
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
        elif mode != "refused" and self.listener is None:
            self._listen()
        if mode not in ("slow", "drip", "silent"):
            self.end_all()

    def end_all(self):
        with self.lock:
            for sock in self.open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self.came += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with self.lock:
            self.open.add(sock)
        try:
            if self.mode == "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            if self.mode == "silent":
                self._wait(sock)
                return
            with socket.create_connection(("127.0.0.1", self.target), 10) as upstream:
                upstream.settimeout(None)
                threading.Thread(target=self._up, args=(sock, upstream), daemon=True).start()
                self._down(sock, upstream)
        except OSError:
            pass
        finally:
            with self.lock:
                self.open.discard(sock)
            try:
                # the other thread of this connection holds it open
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    @staticmethod
    def _up(sock, upstream):
        try:
            while True:
                data = sock.recv(65536)
                if not data:
                    break
                upstream.sendall(data)
            upstream.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    @staticmethod
    def _wait(sock):
        """Until the other side gives up."""
        try:
            while sock.recv(65536):
                pass
        except OSError:
            pass

    def _down(self, sock, upstream):
        sent = 0
        while True:
            data = upstream.recv(16384)
            if not data:
                return
            mode, amount = self.mode, self.amount
            if mode == "silent":
                return self._wait(sock)
            if mode == "slow":
                time.sleep(amount)
            if mode in ("stall", "cut") and sent + len(data) >= amount:
                sock.sendall(data[:max(0, amount - sent)])
                return self._wait(sock) if mode == "stall" else None
            if mode == "flip":
                data = bytes(byte ^ (0x10 if (sent + i) % amount == amount - 1 else 0) for i, byte in enumerate(data))
            if mode == "drip":
                for byte in data:
                    sock.sendall(bytes([byte]))
                    time.sleep(1)
            else:
                sock.sendall(data)
            sent += len(data)
            self.pieces += 1


class Fake:
    """tests/attack/fakeldap.py: Alice's directory, honest or lying; each lie has a port."""

    def __init__(self, stage, folder="fakeldap"):
        self.stage, self.dir, self.ports = stage, stage.path(folder), {}
        os.mkdir(self.dir)
        self.process = subprocess.Popen([sys.executable, os.path.join(TOP, "tests", "attack", "fakeldap.py"), self.dir], stdin=subprocess.PIPE,
                                        stderr=open(os.path.join(self.dir, "log"), "wb"), text=True)

    def certificate(self, name, begin=None, end=None, san="IP:127.0.0.1", ca="ca", cn="the annex", is_ca=False):
        """DIR/NAME.pem and .key, signed by an authority of the stage, good from begin to end (20260101000000Z); now, and 20 days, when not given."""
        path, ca, work = os.path.join(self.dir, name), self.stage.path(ca), os.path.join(self.dir, "authority")
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path + ".key", "-out", path + ".csr",
            "-subj", f"/CN={cn}")
        with open(path + ".ext", "w") as file:
            file.write("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n" if is_ca else
                       f"subjectAltName={san}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
        os.makedirs(work, exist_ok=True)
        open(os.path.join(work, "index"), "a").close()
        with open(work + ".conf", "w") as file:
            file.write(f"[ca]\ndefault_ca=a\n[a]\ndatabase={work}/index\nrand_serial=yes\nnew_certs_dir={work}\ncertificate={ca}.pem\nprivate_key={ca}.key\n"
                       "default_md=sha256\npolicy=p\nunique_subject=no\ndefault_crl_days=9\n[p]\ncommonName=supplied\n")
        run("openssl", "ca", "-batch", "-notext", "-config", work + ".conf", "-in", path + ".csr", "-extfile", path + ".ext", "-out", path + ".pem",
            *(("-startdate", begin) if begin else ()), *(("-enddate", end) if end else ("-days", "20")))

    def revoke(self, name):
        """By the authority that signed last."""
        run("openssl", "ca", "-config", os.path.join(self.dir, "authority.conf"), "-revoke", os.path.join(self.dir, name + ".pem"))

    def lie(self, mode, certificate="good"):
        """The port of a server that lies like this."""
        if (mode, certificate) not in self.ports:
            ready = os.path.join(self.dir, "ready")
            if os.path.exists(ready):
                os.remove(ready)
            self.process.stdin.write(f"{mode} ldaps {certificate} new\n")
            self.process.stdin.flush()
            end = time.monotonic() + 60
            while not os.path.exists(ready):
                if time.monotonic() > end or self.process.poll() is not None:
                    raise Failure("fakeldap.py does not answer")
                time.sleep(0.01)
            with open(ready) as file:
                self.ports[mode, certificate] = int(file.read())
        return self.ports[mode, certificate]

    def journal(self):
        with open(os.path.join(self.dir, "journal")) as file:
            return file.read()

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def add_annex(stage, port, host="127.0.0.1", name="annex"):
    with open(os.open(stage.path("annex.password"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write("annex-secret\n")
    return stage.keyward("directory", "add", f"ldaps://{host}:{port}", "--name", name, "--base", "ou=people,dc=clinic,dc=test", "--group-base",
                         "ou=groups,dc=clinic,dc=test", "--bind-dn", "cn=svc,dc=clinic,dc=test", "--password-file", stage.path("annex.password"),
                         "--ca", stage.path("ca.pem"), "--yes")


class Stillness:
    """Counts how often the whole machine stood still: a directory's share of a sign-in is a second and a half, and over in such a moment."""

    def __init__(self):
        self.times = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        last = time.monotonic()
        while True:
            time.sleep(0.05)
            now = time.monotonic()
            if now - last > 0.4:
                self.times += 1
            last = now


STILLNESS = Stillness()


def sign_in(stage, login, password=None):
    """
    A whole sign-in at a browser of its own: (status of the answer, seconds that it took, the page).  "The directory cannot be asked" is no
    answer when the machine stood still meanwhile: then it is tried again, for a while.
    """
    end = time.monotonic() + 60
    while True:
        still = STILLNESS.times
        browser = stage.browser(timeout=60)
        page = browser.get(stage.issuer + "/login")
        started = time.monotonic()
        answer = browser.submit(page, "password", **{login_field(page): login, "password": password or stage.password})
        took = time.monotonic() - started
        browser.close()
        if answer.status in (502, 503):
            time.sleep(0.2)             # the watch has looked once more
        if answer.status not in (502, 503) or STILLNESS.times == still or time.monotonic() > end:
            return answer.status, took, answer.text


def sign_in_at_last(stage, login, seconds=120):
    """Waits until this person can sign in again: the status of the last try, and how long it took until then."""
    started = time.monotonic()
    while True:
        status = sign_in(stage, login)[0]
        waited = time.monotonic() - started
        if status == 303 or waited > seconds:
            return status, waited
        time.sleep(0.25)


def memory_kb(stage):
    with open(f"/proc/{stage.daemon.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
