# SPDX-License-Identifier: AGPL-3.0-or-later
"""A person at a terminal: a program on a pseudo terminal, what it says, and what is typed.

    with Terminal(["keyward", "setup"]) as terminal:
        terminal.expect("Go on?")
        terminal.type("yes")
        terminal.wait()         # its exit code
"""
import errno
import os
import pty
import re
import select
import signal
import time

from signin import Failure


class Terminal:
    def __init__(self, command, columns=80, env=None):
        self.said, self.seen, self.code = "", 0, None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "dumb", "COLUMNS": str(columns), **(env or {})})
            try:
                os.execv(command[0], [str(word) for word in command])
            finally:
                os._exit(127)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        if self.code is None:
            self.kill()
        os.close(self.fd)

    def _read(self, seconds):
        """More of what it says; False at the end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError as failure:
            if failure.errno != errno.EIO:
                raise
            data = b""
        self.said += data.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(data)

    def expect(self, words, seconds=60):
        """Waits until it has said these words (a text, not a pattern) since the last time; line ends count as blanks."""
        pattern = re.compile(r"\s+".join(re.escape(word) for word in words.split()))
        end = time.monotonic() + seconds
        while True:
            found = pattern.search(self.said, self.seen)
            if found:
                self.seen = found.end()
                return self.said
            if time.monotonic() > end or not self._read(0.2):
                raise Failure(f"expected {words!r}; it said:\n{self.said[-3000:]}")

    def type(self, line):
        os.write(self.fd, (line + "\n").encode())

    def answer(self, words, line, seconds=60):
        self.expect(words, seconds)
        self.type(line)

    def press(self, key):
        """A control key: press("c")."""
        os.write(self.fd, bytes([ord(key) & 0x1f]))

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def wait(self, seconds=60):
        """Its exit code; -9 and the like when a signal ended it."""
        end = time.monotonic() + seconds
        while self._read(0.05):
            if time.monotonic() > end:
                raise Failure(f"it does not end; it said:\n{self.said[-3000:]}")
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
        else:
            status = os.waitpid(self.pid, 0)[1]
        while self._read(0) and select.select([self.fd], [], [], 0)[0]:
            pass
        self.code = os.waitstatus_to_exitcode(status)
        return self.code
