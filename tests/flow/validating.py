# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the tests of contrib/validate share: applications and people on a stage, the key set behind a server that counts, and forged tokens.

The validators get the keys through Keys: a server of the test's own that hands on what Keyward publishes at that moment and adds one
key whose private half the test has.  With that key tokens can be made that are wrong in exactly one thing.
"""
import atexit
import base64
import hashlib
import hmac
import http.server
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import uuid

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives import serialization

from stage import TOP, Browser, Failure, run

VALIDATE = os.path.join(TOP, "contrib", "validate")
AUDIENCE = "https://records.clinic.test"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def part(token, i):
    return json.loads(unb64(token.split(".")[i]))


class Key:
    """An ES256 key of the test."""

    def __init__(self, kid):
        self.kid, self.private = kid, ec.generate_private_key(ec.SECP256R1())
        numbers = self.private.public_key().public_numbers()
        self.jwk = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid,
                    "x": b64(numbers.x.to_bytes(32, "big")), "y": b64(numbers.y.to_bytes(32, "big"))}
        self.pem = self.private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def sign(self, claims, typ="at+jwt", kid=None, **head):
        return jwt.encode(claims, self.private, algorithm="ES256", headers={"typ": typ, "kid": kid or self.kid, **head})


class Keys:
    """https://localhost:PORT/keys: Keyward's own key set and the test's key; counts how often it was asked."""

    def __init__(self, stage, key):
        self.asked, outer = 0, self
        self.source, self.key = stage.issuer + "/oauth2/jwks", key

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                published = Browser(stage.ca_file).get(outer.source).json
                body = json.dumps({"keys": published["keys"] + [key.jwk]}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(stage.path("web.pem"), stage.path("web.key"))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_port}/keys"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()


class Service:
    """One of the example services, running."""

    def __init__(self, stage, name, command, **env):
        self.name, self.log, self.command, self.env = name, stage.path(f"{name}.log"), command, {**os.environ, "PORT": "0", **env}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            env={**os.environ, "PORT": "0", **{k: v for k, v in env.items() if v is not None}})
        atexit.register(self.stop)
        self.url = self._wait()
        self.browser = Browser()

    def starts_without(self, variable):
        """Whether another one runs when a variable that it needs is empty."""
        try:
            done = subprocess.run(self.command, env={**{k: v for k, v in self.env.items() if v is not None}, variable: ""}, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, check=False)
        except subprocess.TimeoutExpired:
            return True
        return done.returncode == 0

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def _wait(self):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            found = re.search(r"^listening on (http\S+)$", self.text(), re.M)
            if found:
                return found.group(1)
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.stop()
        raise Failure(f"{self.name} does not listen:\n{self.text()[-2000:]}")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def me(self, token):
        return self.browser.get(self.url + "/me", **({"Authorization": f"Bearer {token}"} if token is not None else {}))

    def refund(self, token, site):
        return self.browser.request("POST", f"{self.url}/sites/{site}/refunds", b"", {"Authorization": f"Bearer {token}"})


def claims(stage, **changes):
    """What a good access token says; a claim of None is left out."""
    now = int(time.time())
    good = {"iss": stage.issuer, "aud": AUDIENCE, "sub": str(uuid.uuid4()), "client_id": "portal", "scope": "openid roles",
            "jti": str(uuid.uuid4()) + ".0", "iat": now, "exp": now + 300, "grants": [{"role": "manager", "location": "hillside"}]}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def unsigned(head, body, key=None):
    """A token with an HS256 signature under key, or without any."""
    text = b64(json.dumps(head).encode()) + "." + b64(json.dumps(body).encode())
    return text + "." + (b64(hmac.new(key, text.encode(), hashlib.sha256).digest()) if key else "")


def bad_tokens(stage, key, typ, real, id_token):
    """[(what is wrong, token)]: each differs from a good one in one thing."""
    now = int(time.time())
    head, body, signature = real.split(".")
    flipped = bytearray(unb64(signature))
    flipped[5] ^= 1
    stranger = Key(key.kid)
    good = claims(stage)
    raised = {**part(real, 1), "grants": [{"role": "owner"}]}
    public = part_key = None                    # the keys that everybody can fetch, as HMAC keys
    for jwk in Browser(stage.ca_file).get(stage.issuer + "/oauth2/jwks").json["keys"]:
        if jwk["alg"] == "ES256":
            part_key = jwk
    public = jwt.algorithms.ECAlgorithm.from_jwk(json.dumps(part_key)).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return [
        ("expired", key.sign(claims(stage, exp=now - 60, iat=now - 360), typ)),
        ("without exp", key.sign(claims(stage, exp=None), typ)),
        ("not good yet", key.sign(claims(stage, nbf=now + 600), typ)),
        ("of another issuer", key.sign(claims(stage, iss="https://evil.test"), typ)),
        ("of an issuer that only begins like ours", key.sign(claims(stage, iss=stage.issuer + ".evil.test"), typ)),
        ("without issuer", key.sign(claims(stage, iss=None), typ)),
        ("for another audience", key.sign(claims(stage, aud="https://billing.clinic.test"), typ)),
        ("for other audiences", key.sign(claims(stage, aud=["https://billing.clinic.test", "portal"]), typ)),
        ("without audience", key.sign(claims(stage, aud=None), typ)),
        ("with a flipped bit in the signature", f"{head}.{body}.{b64(bytes(flipped))}"),
        ("with other claims under an old signature", f"{head}.{b64(json.dumps(raised).encode())}.{signature}"),
        ("without signature", f"{head}.{body}."),
        ("signed by a stranger under a known kid", stranger.sign(good, typ)),
        ("of alg none", unsigned({"alg": "none", "typ": typ, "kid": key.kid}, good)),
        ("of alg None", unsigned({"alg": "None", "typ": typ}, good)),
        ("of HS256 with the public key as the secret", unsigned({"alg": "HS256", "typ": typ, "kid": part_key["kid"]}, good, public)),
        ("of HS256 with the test's public key", unsigned({"alg": "HS256", "typ": typ, "kid": key.kid}, good, key.pem)),
        ("without client_id", key.sign(claims(stage, client_id=None), typ)),
        ("without sub", key.sign(claims(stage, sub=None), typ)),
        ("that is of another type", key.sign(good, "JWT" if typ == "at+jwt" else "at+jwt")),
        ("without a type", key.sign(good, None) if typ == "at+jwt" else "rubbish"),
        ("that is an ID token of Keyward", id_token),
        ("that is an ID token made out to us", key.sign(claims(stage, client_id=None, scope=None, jti=None, nonce="n"), "JWT")),
        ("rubbish", "rubbish"), ("two dots", ".."), ("endless", real + "A" * 20000),
    ]


def build_c(stage):
    """The service in C, under the sanitizers; None without its packages."""
    if subprocess.run(["pkg-config", "--exists", "libjwt", "jansson", "libcurl", "libmicrohttpd", "libcrypto"], check=False).returncode:
        return None
    out = stage.path("service-c")
    run("make", "-s", "-C", os.path.join(VALIDATE, "c"), f"OUT={out}",
        "CFLAGS=-std=gnu11 -O1 -g -Wall -Wextra -Wshadow -Wformat=2 -Werror -fsanitize=address,undefined")
    return out


# ---- proxies

class Backend:
    """The service behind a proxy: tells which headers reached it."""

    def __init__(self):
        self.seen, outer = 0, self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.seen += 1
                body = json.dumps({"path": self.path, "subject": self.headers.get("Keyward-Subject"),
                                   "subjects": self.headers.get_all("Keyward-Subject"),
                                   "authorization": self.headers.get("Authorization")}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def rewritten(name, changes):
    """A sample configuration of contrib/validate with its addresses and files replaced; a text that is not in it is a failure."""
    with open(os.path.join(VALIDATE, *name.split("/"))) as file:
        text = file.read()
    for old, new in changes.items():
        if old not in text:
            raise Failure(f"{name} does not say {old!r} any more")
        text = text.replace(old, new)
    return text


class Proxy:
    """nginx or Apache in the foreground, in a folder that its own user may read."""

    def __init__(self, stage, name, port):
        self.name, self.port, self.browser = name, port, Browser(stage.ca_file)
        self.url = f"https://localhost:{port}"
        self.dir = tempfile.mkdtemp(prefix=f"keyward-{name}-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        for file in ("web.pem", "web.key", "ca.pem"):
            shutil.copy(stage.path(file), self.dir)
        os.chmod(os.path.join(self.dir, "ca.pem"), 0o644)
        self.process = None

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(os.open(self.path(name), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        return self.path(name)

    def start(self, *command):
        log = open(self.path("out.log"), "ab")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        log.close()
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.05)
        said = self.log()[-3000:]
        self.stop()
        raise Failure(f"{self.name} does not listen:\n{said}")

    def log(self):
        text = ""
        for name in ("out.log", "error.log"):
            try:
                with open(self.path(name), encoding="utf-8", errors="replace") as file:
                    text += file.read()
            except FileNotFoundError:
                pass
        return text

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def get(self, path, token=None, **headers):
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self.browser.get(self.url + path, **headers)


def nginx(stage, port, backend, app, secret=None):
    """nginx with contrib/validate/nginx/records.conf; None when it is not installed."""
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not program:
        return None
    proxy = Proxy(stage, "nginx", port)
    pair = base64.b64encode(f"{app.client_id}:{secret or app.client_secret}".encode()).decode()
    proxy.write("secret.conf", f'proxy_set_header Authorization "Basic {pair}";\n')
    records = rewritten("nginx/records.conf", {
        "server keyward.clinic.test:443;": f"server 127.0.0.1:{stage.port};", "Host keyward.clinic.test;": f"Host localhost:{stage.port};",
        "proxy_ssl_name keyward.clinic.test;": "proxy_ssl_name localhost;", "listen 127.0.0.1:8443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "server_name records.clinic.test;": "server_name localhost;", "/etc/nginx/records.pem": proxy.path("web.pem"),
        "/etc/nginx/records.key": proxy.path("web.key"), "/etc/nginx/keyward-secret.conf": proxy.path("secret.conf"),
        "/etc/ssl/certs/ca-certificates.crt": proxy.path("ca.pem"), "http://127.0.0.1:8080": f"http://127.0.0.1:{backend.port}",
        # a busy machine is no Keyward that is away
        "_timeout 3s;": "_timeout 60s;"})
    folders = "".join(f"{kind}_temp_path {proxy.path(kind)};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    conf = proxy.write("nginx.conf", f"daemon off;\nmaster_process off;\npid {proxy.path('pid')};\nerror_log {proxy.path('error.log')};\n"
                       f"events {{ worker_connections 256; }}\nhttp {{\naccess_log off;\n{folders}{records}}}\n")
    return proxy.start(program, "-p", proxy.dir, "-c", conf, "-e", proxy.path("error.log"))


MODULES = "/usr/lib/apache2/modules"


def apache(stage, port, inside, files):
    """Apache whose one virtual host is inside(proxy); None when it or its module is not installed."""
    program = shutil.which("apache2", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not program or not os.path.exists(f"{MODULES}/mod_auth_openidc.so"):
        return None
    proxy = Proxy(stage, "apache", port)
    os.mkdir(proxy.path("run"))
    os.mkdir(proxy.path("htdocs"))
    os.mkdir(proxy.path("htdocs/managers"))
    for name, text in files.items():
        proxy.write(name, text)
    for name in ("htdocs/index.html", "htdocs/managers/index.html"):
        with open(proxy.path(name), "w") as file:
            file.write(f"This is {name}.\n")
    user = ""
    if os.geteuid() == 0:
        user = "User www-data\nGroup www-data\n"
        shutil.chown(proxy.path("run"), "www-data")
    subprocess.run(["chmod", "-R", "go+rX", proxy.path("htdocs")], check=True)
    modules = "".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so\n" for name in (
        "mpm_event", "authn_core", "authz_core", "authz_user", "socache_shmcb", "ssl", "headers", "proxy", "proxy_http", "dir", "alias", "env",
        "auth_openidc"))
    conf = proxy.write("apache.conf", f"""ServerRoot {proxy.dir}
DefaultRuntimeDir {proxy.path('run')}
PidFile {proxy.path('run/pid')}
{modules}{user}ServerName localhost
ErrorLog {proxy.path('error.log')}
LogLevel warn auth_openidc:info
StartServers 1
ThreadsPerChild 8
MaxRequestWorkers 8
ServerLimit 1
Listen 127.0.0.1:{port}
<VirtualHost 127.0.0.1:{port}>
SSLEngine on
SSLCertificateFile {proxy.path('web.pem')}
SSLCertificateKeyFile {proxy.path('web.key')}
DocumentRoot {proxy.path('htdocs')}
DirectoryIndex index.html
{inside(proxy)}
</VirtualHost>
""")
    return proxy.start(program, "-d", proxy.dir, "-f", conf, "-DFOREGROUND")
