# SPDX-License-Identifier: AGPL-3.0-or-later
"""A service manager's side: hears what a daemon tells, and hands it listening sockets.

    manager = Manager(stage)
    stage.daemon = manager.start(sockets=[("public", socket)], WATCHDOG_USEC="3000000")
    manager.wait_for("READY=1")
"""
import os
import socket
import subprocess
import threading
import time

from stage import BUILD


def listening(port=0, backlog=512):
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", port))
    held.listen(backlog)
    return held


class Manager:
    def __init__(self, stage, abstract=False):
        self.stage, self.heard = stage, []
        self.address = f"@keyward-flow-{os.getpid()}" if abstract else stage.path("notify.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.address[1:] if abstract else self.address)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            text = self.socket.recv(65536).decode()
            # all of a datagram at once: who has seen READY=1 finds the STATUS= that came with it
            self.heard.extend([(time.monotonic(), line) for line in text.splitlines()])

    def lines(self, start=""):
        return [line for _, line in list(self.heard) if line.startswith(start)]

    def wait_for(self, start, seconds=120, count=1):
        """True when so many lines that begin with start have come."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if len(self.lines(start)) >= count:
                return True
            time.sleep(0.02)
        return False

    def start(self, sockets=(), names=None, wrapper=(), **env):
        """The daemon with these (name, socket) as descriptors 3 and up."""
        names = ":".join(name for name, _ in sockets) if names is None else names
        fds = [one.fileno() for _, one in sockets]
        # the shell gives each its number and is the daemon afterwards, so that LISTEN_PID is right; not every sh knows numbers above 9
        moves = " ".join(f"{3 + i}<&{fd}" for i, fd in enumerate(fds))
        if any(3 <= fd < 3 + len(fds) for fd in fds):
            high = [os.dup(os.dup(os.dup(fd))) for fd in fds]
            fds = high
            moves = " ".join(f"{3 + i}<&{fd}" for i, fd in enumerate(fds))
        words = " ".join([*wrapper, os.path.join(BUILD, "keywardd"), "--config", self.stage.config_file])
        script = f"export LISTEN_PID=$$; exec {words} {moves}" if fds else f"exec {words}"
        more = {"LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": names} if fds else {}
        log = open(self.stage.path("keywardd.log"), "ab")
        daemon = subprocess.Popen(["bash", "-c", script], stdout=log, stderr=log, stdin=subprocess.DEVNULL, pass_fds=fds,
                                  env={**os.environ, "NOTIFY_SOCKET": self.address, **more, **env})
        log.close()
        self.stage.daemon = daemon
        return daemon
