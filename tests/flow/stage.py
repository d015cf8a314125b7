# SPDX-License-Identifier: AGPL-3.0-or-later
"""The stage of a flow test: a real directory, a real daemon and what a person or an application does with them.

    from stage import Stage
    with Stage() as stage:
        stage.ready()                       # directory added, objects applied, people synchronised
        app = stage.app("demo")
        code, memory = authorize(stage.browser(), app, "akeller", stage.password)
        stage.check("it did", code)

Stage(directory="ad") has Samba's Active Directory instead of OpenLDAP, with the same people and passwords; directory=None has none.

Every point is a TAP line.  All of it lives in a temporary folder and on free loopback ports, and goes with the test.
KEYWARD_FLOW_KEEP=1 keeps the folder; its name is printed.
"""
import base64
import json
import os
import re
import random
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(TOP, "contrib", "lib"))

from signin import App, Browser, Failure, authorize  # noqa: E402,F401  (tests take them from here)

BUILD = os.environ.get("abs_builddir") or os.path.join(TOP, "build")
FIXTURES = {"slapd": os.path.join(TOP, "contrib", "slapd-fixture", "slapd.sh"), "ad": os.path.join(TOP, "contrib", "ad-fixture", "ad.sh")}
POSTGRES = os.path.join(TOP, "contrib", "postgres-fixture", "postgres.sh")
# "sqlite", or "postgresql": then tests/flow/run has started a server in KEYWARD_FLOW_POSTGRES, or the stage starts its own
ENGINE = os.environ.get("KEYWARD_FLOW_DATABASE") or "sqlite"
REDIRECT_URI = "https://app.clinic.test/callback"


RESERVED = []           # sockets whose names say which ports are ours


def reserve(port):
    """False when another test has it; else nobody else gets it before this process ends, whether a server listens there or is just away."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0keyward-port-{port}")
    except OSError:
        name.close()
        return False
    RESERVED.append(name)
    return True


def free_ports(n):
    """Below the range from which the kernel takes ports for connections: nobody is given them before the servers begin."""
    ports = []
    while len(ports) < n:
        port = random.randrange(15000, 32000)
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        if reserve(port):
            ports.append(port)
    return ports


def run(*command, check=True, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=options.pop("timeout", 300), **options)
    if check and done.returncode != 0:
        raise Failure(f"{' '.join(str(word) for word in command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


class Stage:
    def __init__(self, directory="slapd", config=None, options=(), own_postgres=False):
        self.dir = tempfile.mkdtemp(prefix="keyward-flow-", dir="/tmp")
        self.points = self.failed = 0
        self.daemon, self.apps = None, {}
        self.password, self.service_password = "willow-lantern-42", "sync-harbour-77"
        ldap, ldaps, kdc, self.port, self.ops_port = free_ports(5)
        self.issuer = f"https://localhost:{self.port}"
        self.config_file = self.path("keyward.yaml")
        self.settings = {
            "organisation": "Tarn Valley Clinic", "issuer": self.issuer, "listen": f"127.0.0.1:{self.port}",
            "ops_listen": f"127.0.0.1:{self.ops_port}", "tls_certificate": self.path("web.pem"), "tls_key": self.path("web.key"),
            "socket": self.path("keyward.sock"), "database": self.path("keyward.db"), "master_key": self.path("master.key"),
            "source_url": "https://keyward.test/source", "service_desk": "Service desk, extension 4400",
            # a test says itself when directories are read, however long it lasts
            "sync_interval": 86400, **(config or {})}
        self.is_postgres, self.postgres = ENGINE == "postgresql", None
        if self.is_postgres and "database" not in (config or {}):
            self._database(own_postgres)
        self.ldap = {}
        self.directory = directory
        self.options = ("--port", ldap, "--tls-port", ldaps, *(("--kdc-port", kdc) if directory == "ad" else ("--fast",)), *options)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    # ---- points

    def check(self, what, good, detail=None):
        """One TAP point; gives whether it is good."""
        self.points += 1
        print(f"{'ok' if good else 'not ok'} {self.points} - {what}", flush=True)
        if not good:
            self.failed += 1
            if detail is not None:
                for line in str(detail).splitlines()[:40]:
                    print(f"#   {line}", flush=True)
        return bool(good)

    def equal(self, what, found, expected):
        return self.check(what, found == expected, f"found    {found!r}\nexpected {expected!r}")

    def note(self, text):
        for line in str(text).splitlines():
            print(f"# {line}", flush=True)

    def skip(self, what, why):
        """A point that this engine cannot have."""
        self.points += 1
        print(f"ok {self.points} - {what} # SKIP {why}", flush=True)

    # ---- the database

    def _database(self, want_own):
        """A fresh database on a throw-away PostgreSQL; on one of its own for a test that will do it harm."""
        self.postgres = None if want_own else os.environ.get("KEYWARD_FLOW_POSTGRES")
        self.has_own_postgres = not self.postgres
        if self.has_own_postgres:
            self.postgres = tempfile.mkdtemp(prefix="keyward-postgres-", dir="/tmp")
            os.chmod(self.postgres, 0o755)
            run(POSTGRES, "start", self.postgres, "--durable", stdin=subprocess.DEVNULL)
        self.database = f"flow_{os.getpid()}_{secrets.token_hex(2)}"
        self.settings["database"] = run(POSTGRES, "database", self.postgres, self.database).stdout.strip()

    def sql(self, text):
        """Rows of a question to the database behind the daemon's back, as lists of text; or a change of it."""
        if self.is_postgres:
            done = run(POSTGRES, "sql", self.postgres, "-d", self.database, "-A", "-t", "-F", "\x1f", "-c", text)
            return [line.split("\x1f") for line in done.stdout.splitlines()]
        connection = sqlite3.connect(self.settings["database"])
        try:
            rows = [["" if value is None else str(value) for value in row] for row in connection.execute(text)]
            connection.commit()
            return rows
        finally:
            connection.close()

    def dump(self):
        """All that PostgreSQL holds of us, blobs in hexadecimal and as they are."""
        tables = [row[0] for row in self.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        everything = b""
        for table in tables:
            rows = run(POSTGRES, "sql", self.postgres, "-d", self.database, "-A", "-t", "-c", f'SELECT * FROM "{table}"').stdout
            everything += rows.encode() + b"".join(bytes.fromhex(word) for word in re.findall(r"\\x((?:[0-9a-f]{2})+)", rows))
        return everything

    def _drop_database(self):
        if self.postgres and self.has_own_postgres:
            run(POSTGRES, "stop", self.postgres, check=False)
        elif self.postgres:
            run(POSTGRES, "drop", self.postgres, self.database, check=False)

    # ---- beginning and end

    def __enter__(self):
        try:
            self._certificates()
            with open(os.open(self.settings["master_key"], os.O_CREAT | os.O_WRONLY, 0o400), "w") as file:
                file.write(os.urandom(32).hex() + "\n")
            for name, word in (("service.password", self.service_password),):
                with open(os.open(self.path(name), os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
                    file.write(word + "\n")
            self.write_config()
            if self.directory:
                self.start_directory()
            return self
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise

    def __exit__(self, kind, failure, trace):
        if kind is not None and not issubclass(kind, (KeyboardInterrupt, SystemExit)):
            self.check(f"no exception ({kind.__name__})", False, "".join(traceback.format_exception(kind, failure, trace)[-6:]))
            self.note(self.log_tail())
        code = self.stop()
        if code not in (None, 0, -signal.SIGTERM):
            self.check("the daemon ended well", False, f"exit code {code}\n{self.log_tail()}")
        reports = [line for line in self.log().splitlines() if "Sanitizer" in line or "runtime error:" in line]
        if reports:
            self.check("no sanitizer report", False, self.log_tail(60))
        if self.directory:
            subprocess.run([FIXTURES[self.directory], "stop", self.path("directory")], capture_output=True, check=False)
        self._drop_database()
        print(f"1..{self.points}", flush=True)
        if os.environ.get("KEYWARD_FLOW_KEEP"):
            self.note(f"kept {self.dir}")
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
        if kind is None or issubclass(kind, Exception):
            sys.exit(1 if self.failed else 0)

    def _certificates(self):
        """A certificate authority for https://localhost."""
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-keyout",
            self.path("ca.key"), "-out", self.path("ca.pem"), "-subj", "/CN=Flow test CA", "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.path("web.key"), "-out",
            self.path("web.csr"), "-subj", "/CN=localhost")
        with open(self.path("web.ext"), "w") as file:
            file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
        run("openssl", "x509", "-req", "-in", self.path("web.csr"), "-CA", self.path("ca.pem"), "-CAkey", self.path("ca.key"), "-CAcreateserial",
            "-days", "30", "-extfile", self.path("web.ext"), "-out", self.path("web.pem"))
        self.ca_file = self.path("ca.pem")

    def write_config(self, **changes):
        """keyward.yaml from the settings; a setting of None is left out."""
        self.settings.update(changes)
        with open(self.config_file, "w") as file:
            for name, value in self.settings.items():
                if value is not None:
                    file.write(f"{name}: {json.dumps(value)}\n")

    # ---- the directory

    def start_directory(self):
        env = {**os.environ, "SAMPLE_PASSWORD": self.password, "SERVICE_PASSWORD": self.service_password}
        fixture = FIXTURES[self.directory]
        run(fixture, "start", self.path("directory"), *self.options, env=env, stdin=subprocess.DEVNULL, timeout=600)
        for line in run(fixture, "env", self.path("directory")).stdout.splitlines():
            name, _, value = line.partition("=")
            self.ldap[name] = value

    def stop_directory(self):
        run(FIXTURES[self.directory], "stop", self.path("directory"))

    def as_administrator(self, program, *words, **more):
        return run(program, "-x", "-H", self.ldap["LDAPS_URI"], "-D", self.ldap["LDAP_ADMIN_DN"], "-w", self.ldap["LDAP_ADMIN_PASSWORD"],
                   *words, env={**os.environ, "LDAPTLS_CACERT": self.ldap["LDAP_CA"]}, **more)

    def modify(self, ldif, program="ldapmodify"):
        """Changes the directory as its administrator."""
        return self.as_administrator(program, *(("-e", "!relax") if self.directory == "slapd" else ()), input=ldif)

    def modify_locally(self, ldif):
        """Active Directory only: what nobody may change over the network."""
        with open(self.path("local.ldif"), "w") as file:
            file.write(ldif)
        return run(FIXTURES["ad"], "local", self.path("directory"), self.path("local.ldif"))

    def search(self, text, *attributes):
        return self.as_administrator("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", self.ldap["LDAP_BASE"], text, *attributes).stdout

    def dn(self, login):
        if self.directory == "ad":
            found = self.values(f"(sAMAccountName={login})", "dn")[0]
            return found.decode() if isinstance(found, bytes) else found
        return f"uid={login},ou=people,{self.ldap['LDAP_BASE']}"

    def values(self, text, attribute):
        """The values of an attribute in what a search finds; those that LDIF writes in base64 as bytes."""
        found = []
        for line in self.search(text, attribute).splitlines():
            name, _, value = line.partition(":")
            if name.lower() == attribute.lower():
                found.append(base64.b64decode(value[1:]) if value.startswith(":") else value.strip())
        return found

    # ---- the daemon

    def start(self, wait=True, **env):
        log = open(self.path("keywardd.log"), "ab")
        self.daemon = subprocess.Popen([os.path.join(BUILD, "keywardd"), "--config", self.config_file], stdout=log, stderr=log,
                                       stdin=subprocess.DEVNULL, env={**os.environ, **env})
        log.close()
        if wait:
            self.wait_ready()
        return self.daemon

    def wait_ready(self, seconds=120):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.daemon.poll() is not None:
                raise Failure(f"keywardd ended with {self.daemon.returncode}:\n{self.log_tail()}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.ops_port}/readyz", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                pass
            time.sleep(0.01)
        raise Failure(f"keywardd is not ready after {seconds} s:\n{self.log_tail()}")

    def stop(self, how=signal.SIGTERM):
        """Ends the daemon; gives its exit code, None when none ran."""
        if self.daemon is None:
            return None
        if self.daemon.poll() is None:
            self.daemon.send_signal(how)
            try:
                self.daemon.wait(90)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
                self.daemon, code = None, "still alive after 90 s"
                return code
        code, self.daemon = self.daemon.returncode, None
        return code

    def log(self):
        try:
            with open(self.path("keywardd.log"), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def log_tail(self, lines=25):
        return "\n".join(self.log().splitlines()[-lines:])

    def ops(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ops_port}{path}", timeout=60) as answer:
            return answer.read().decode()

    def metric(self, name, /, **labels):
        """The number of a series, or the sum of those that have these labels; 0 when a series has not begun."""
        total, known = 0.0, False
        for line in self.ops("/metrics").splitlines():
            known = known or line.startswith(f"# TYPE keyward_{name} ") or line.startswith(f"# TYPE {name} ")
            series, _, value = line.rpartition(" ")
            if series.removeprefix("keyward_").partition("{")[0] == name and all(f'{key}="{word}"' in series for key, word in labels.items()):
                total += float(value)
        if not known:
            raise Failure(f"no metric {name}")
        return total

    # ---- the command line

    def keyward(self, *words, check=True, **options):
        return run(os.path.join(BUILD, "keyward"), "--config", self.config_file, *words, check=check, **options)

    def keyward_json(self, *words, **options):
        return json.loads(self.keyward("--json", *words, **options).stdout)

    def add_directory(self, *more, check=True):
        base = self.ldap["LDAP_BASE"]
        # the root of a domain holds administrators and services, too
        where = ("--base", f"ou=people,{base}", "--group-base", f"ou=groups,{base}") if self.directory == "ad" else ("--base", base)
        return self.keyward("directory", "add", f"ldaps://127.0.0.1:{self.ldap['LDAPS_URI'].rsplit(':', 1)[1]}", "--name", "clinic",
                            *where, "--bind-dn", self.ldap["LDAP_BIND_DN"], "--password-file",
                            self.path("service.password"), "--ca", self.ldap["LDAP_CA"], "--yes", *more, check=check)

    def ready(self, sync=True):
        """Started, with the directory, the objects of the sample clinic and its people."""
        if self.daemon is None:
            self.start()
        self.add_directory()
        self.keyward("apply", "--yes", os.path.join(TOP, "etc", "presets", "clinic.yaml"))
        self.keyward("apply", "--yes", os.path.join(TOP, "contrib", "sample-clinic", "clinic.yaml"))
        if sync:
            self.keyward("sync", "run")

    def user(self, login):
        return self.keyward_json("user", "show", login)

    def grants(self, login):
        """{(role, location or None)}"""
        return {(grant["role"], grant.get("location")) for grant in self.user(login)["grants"]}

    # ---- people and applications

    def browser(self, **options):
        return Browser(self.ca_file, **options)

    def app(self, name="demo", *more, redirect_uri=REDIRECT_URI):
        """Adds an application and gives its side."""
        words = ["app", "add", name] + (["--redirect-uri", redirect_uri] if redirect_uri else [])
        made = self.keyward_json(*words, *more)
        self.apps[name] = made
        return App(self.issuer, made["client_id"], made.get("client_secret"), redirect_uri, self.ca_file)

    def tokens(self, app, login, scope="openid profile email roles offline_access", browser=None):
        """Signs in and redeems; gives (tokens, memory)."""
        code, memory = authorize(browser or self.browser(), app, login, self.password, scope)
        answer = app.redeem(code, memory)
        if answer.status != 200:
            raise Failure(f"the token endpoint answered {answer.status}: {answer.text[:300]}")
        return answer.json, memory
