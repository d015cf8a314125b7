# SPDX-License-Identifier: AGPL-3.0-or-later
"""The stage of tests of "keyward setup": a directory, an empty folder, and nothing else."""
import json
import os
import signal
import subprocess
import time

from stage import BUILD, Stage, run


class SetupStage(Stage):
    def __init__(self, **options):
        super().__init__(**options)
        self.place = self.path("place")
        self.config_file = os.path.join(self.place, "keyward.yaml")
        # no second choice, which might fall on the directory's ports
        self.web_port = self.port

    def __enter__(self):
        os.mkdir(self.place)
        super().__enter__()
        self.ca_file = self.in_place("tls/ca.pem")
        fingerprint = run("openssl", "x509", "-in", self.ldap["LDAP_CA"], "-noout", "-fingerprint", "-sha256").stdout.split("=")[1].strip()
        self.fingerprint = fingerprint
        self.directory_url = f"ldaps://localhost:{self.ldap['LDAPS_URI'].rsplit(':', 1)[1]}"
        self.answers = {
            "organisation": "Tarn Valley Clinic", "public_name": "localhost", "port": str(self.web_port), "ops_port": str(self.ops_port),
            "service_desk": "Service desk, extension 4400", "directory_url": self.directory_url, "directory_trust": fingerprint,
            "directory_bind_dn": self.ldap["LDAP_BIND_DN"], "directory_password": "@" + self.path("service.password"), "synchronise": "yes",
            "map": {"phone-agents": "no", "coast-managers": "manager@coast"}}
        return self

    def write_config(self, **changes):
        """That is what setup is for."""

    def __exit__(self, kind, failure, trace):
        self.end_daemon()
        super().__exit__(kind, failure, trace)

    def in_place(self, name):
        return os.path.join(self.place, name)

    def daemon_pid(self):
        """The process that setup started in the background, found by its configuration."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline") as file:
                    words = file.read().split("\0")
            except OSError:
                continue
            if words[0].endswith("keywardd") and self.config_file in words:
                return int(pid)
        return None

    def end_daemon(self):
        pid, end = self.daemon_pid(), time.monotonic() + 60
        if pid:
            os.kill(pid, signal.SIGTERM)
            # one that nobody reaps has no command line any more
            while self.daemon_pid() == pid and time.monotonic() < end:
                time.sleep(0.05)
            if self.daemon_pid() == pid:
                self.check("the daemon ends", False, self.log_tail())
                os.kill(pid, signal.SIGKILL)

    def log(self):
        try:
            with open(self.in_place("keywardd.log"), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    @property
    def command(self):
        return [os.path.join(BUILD, "keyward"), "--config", self.config_file, "setup"]

    def setup(self, *more, **options):
        return run(*self.command, *more, check=False, **options)

    def setup_answers(self, *more, **answers):
        file = self.path("answers.yaml")
        with open(file, "w") as out:
            for key, value in answers.items():
                out.write(f"{key}: {json.dumps(value)}\n")
        return self.setup("--answers", file, *more, stdin=subprocess.DEVNULL)

    def people(self):
        return self.keyward_json("user", "list", "--all")["items"]
