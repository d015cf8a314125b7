# SPDX-License-Identifier: AGPL-3.0-or-later
"""A line to PostgreSQL that fails when it is told to: before, in the middle of, or after a COMMIT.

    with Cutter(server_socket_folder) as cutter:
        cutter.folder                       # what host= names
        cutter.arm("after")                 # the next COMMIT is delivered, its answer is not
        cutter.arm("at", 17)                # 17 bytes of the message with the COMMIT are delivered, then the line is gone
"""
import os
import select
import shutil
import socket
import tempfile
import threading

# the statement of that name is run (driver_pg_wire.c prepares it once, with other bytes before its name)
COMMIT = b"\0commit\0"
# ReadyForQuery outside of a transaction
IDLE = b"Z\0\0\0\5I"


class Cutter:
    def __init__(self, server, port=5432):
        self.server = os.path.join(server, f".s.PGSQL.{port}")
        self.folder = tempfile.mkdtemp(prefix="keyward-cutter-", dir="/tmp")
        self.how, self.count, self.cuts, self.refuses = None, 0, 0, False
        self.seen = 0           # length of the last message with a COMMIT
        self.lock, self.lines = threading.Lock(), set()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(os.path.join(self.folder, f".s.PGSQL.{port}"))
        self.listener.listen(100)
        self.is_over = False

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.listener.close()
        self.cut_all()
        shutil.rmtree(self.folder, ignore_errors=True)

    def arm(self, how, count=0, refuses=False):
        """how: before, after, hang, or at (so many bytes).  refuses: with the cut all lines go, and no new one is let through."""
        with self.lock:
            self.how, self.count, self.want_refusal = how, count, refuses

    def cut_all(self):
        with self.lock:
            lines = list(self.lines)
        for line in lines:
            for end in line:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _accept(self):
        while not self.is_over:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                if self.refuses:
                    raise OSError
                server.connect(self.server)
            except OSError:
                client.close()
                server.close()
                continue
            threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _take(self):
        with self.lock:
            how, self.how = self.how, None
            if how:
                self.cuts += 1
                self.refuses = self.want_refusal
            return how

    def _carry(self, client, server):
        line, is_deaf, asked, told = (client, server), None, b"", b""
        with self.lock:
            self.lines.add(line)
        try:
            while True:
                for end in select.select([client, server], [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    if end is server:
                        told = (told + data)[-len(IDLE):]
                        if not is_deaf:
                            client.sendall(data)
                        elif is_deaf == "after" and told == IDLE:
                            # the commit is done; nobody will read its answer
                            return
                        continue
                    # its name may come in two pieces
                    is_commit, asked = COMMIT in asked + data, (asked + data)[1 - len(COMMIT):]
                    if is_commit:
                        self.seen = len(data)
                        how = self._take()
                        if how == "before":
                            return
                        if how == "at":
                            server.sendall(data[:self.count])
                            return
                        if how in ("after", "hang"):
                            is_deaf, told = how, b""
                            server.sendall(data)
                            continue
                    server.sendall(data)
        except OSError:
            pass
        finally:
            with self.lock:
                self.lines.discard(line)
            for end in line:
                end.close()
            if self.refuses:
                self.cut_all()
