#!/usr/bin/python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""A small service that lets people in with Keyward's access tokens.  Python 3 and PyJWT with cryptography (Debian: python3-jwt,
python3-cryptography); the explanation is doc/validate-python.md.

    ISSUER=https://keyward.clinic.test AUDIENCE=https://records.clinic.test PORT=8080 ./service.py

    GET  /me                    whose token it is
    POST /sites/SITE/refunds    only for managers of that site

Take the class Tokens and the function holds for your own service.
"""
import http.server
import json
import os
import re
import ssl
import sys
import threading
import time
import urllib.request

import jwt

ALGORITHMS = ["ES256"]          # what your application is registered with; never what the token says
LEEWAY = 30                     # seconds that two clocks may differ
KEYS_GOOD_FOR = 600             # then they are fetched again, so that a withdrawn key goes away
KEYS_REST = 20                  # whatever strangers send, the keys are not fetched more often than this
ANSWER_MAX = 1 << 20


class Refused(Exception):
    """The token is not good; its text is for your log, not for the caller."""


class Keys:
    """The keys that Keyward publishes, by kid: fetched when they are old, or when a token names one that is not known yet."""

    def __init__(self, url, ca_file=None):
        self.url, self.lock = url, threading.Lock()
        self.context = ssl.create_default_context(cafile=ca_file)
        self.keys, self.fetched, self.tried = {}, None, None

    def _fetch(self):
        with urllib.request.urlopen(self.url, context=self.context, timeout=5) as answer:
            listed = json.loads(answer.read(ANSWER_MAX))["keys"]
        # the key's own alg must be ours, too: a key is for one algorithm only (RFC 8725 3.1)
        return {key["kid"]: jwt.PyJWK(key).key for key in listed if key.get("alg") in ALGORITHMS and key.get("use", "sig") == "sig"}

    def find(self, kid):
        with self.lock:
            now = time.monotonic()
            is_old = self.fetched is None or now - self.fetched > KEYS_GOOD_FOR
            if (is_old or kid not in self.keys) and (self.tried is None or now - self.tried > KEYS_REST):
                self.tried = now
                try:
                    self.keys, self.fetched = self._fetch(), now
                except (OSError, ValueError, KeyError, jwt.PyJWTError) as failure:
                    # the old keys stay good while Keyward cannot be reached
                    print(f"keys of {self.url}: {failure}", file=sys.stderr, flush=True)
            return self.keys.get(kid)


class Tokens:
    def __init__(self, issuer, audience, keys):
        self.issuer, self.audience, self.keys = issuer, audience, keys

    def check(self, token):
        """The claims of a good access token; raises Refused."""
        try:
            head = jwt.get_unverified_header(token)
            # RFC 9068 4: an access token says that it is one.  An ID token says "JWT" and is for the application, not for us.
            if str(head.get("typ", "")).lower() not in ("at+jwt", "application/at+jwt"):
                raise Refused("the token is no access token")
            if "crit" in head:
                raise Refused("the token has extensions that we do not know")   # RFC 7515 4.1.11
            key = self.keys.find(head.get("kid"))
            if key is None:
                raise Refused("the token is signed with a key that is not published")
            return jwt.decode(token, key, algorithms=ALGORITHMS, issuer=self.issuer, audience=self.audience, leeway=LEEWAY,
                              options={"require": ["iss", "aud", "sub", "exp", "iat", "client_id", "jti"]})
        except jwt.PyJWTError as failure:
            raise Refused(f"{type(failure).__name__}: {failure}") from failure


def holds(claims, role, site):
    """Role and site of one and the same grant: who is physician at one site and manager at another manages only there."""
    for grant in claims.get("grants", []):
        if grant.get("role") == role and ("location" not in grant or site == grant["location"] or site in grant.get("locations", [])):
            return True
    return False


class Handler(http.server.BaseHTTPRequestHandler):
    tokens = None
    protocol_version = "HTTP/1.1"
    timeout = 30

    def answer(self, status, body, challenge=None):
        text = json.dumps(body).encode()
        self.send_response(status)
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(text)

    def claims(self):
        """RFC 6750 2.1: one Authorization header; None when it has been answered."""
        headers = self.headers.get_all("Authorization") or []
        if not headers:
            return self.answer(401, {"error": "no token"}, 'Bearer realm="records"')
        match = re.fullmatch(r"(?i:bearer) +([A-Za-z0-9._~+/=-]+)", headers[0])
        try:
            if len(headers) > 1 or not match:
                raise Refused("the Authorization header is not well formed")
            return self.tokens.check(match.group(1))
        except Refused as refused:
            print(f"refused: {refused}", file=sys.stderr, flush=True)
            return self.answer(401, {"error": "invalid_token"}, 'Bearer realm="records", error="invalid_token"')

    def do_GET(self):
        claims = self.claims()
        if claims is None:
            return
        if self.path != "/me":
            self.answer(404, {"error": "there is nothing here"})
        else:
            self.answer(200, {"sub": claims["sub"], "client_id": claims["client_id"], "grants": claims.get("grants", [])})

    def do_POST(self):
        self.close_connection = True            # this example reads no bodies
        claims = self.claims()
        if claims is None:
            return
        match = re.fullmatch(r"/sites/([a-z0-9_-]+)/refunds", self.path)
        if not match:
            self.answer(404, {"error": "there is nothing here"})
        elif holds(claims, "manager", match.group(1)):
            self.answer(201, {"refund": "made", "by": claims["sub"], "site": match.group(1)})
        else:
            self.answer(403, {"error": "only managers of this site"}, 'Bearer realm="records", error="insufficient_scope"')

    def log_message(self, *_):
        pass


def main():
    env = os.environ
    # empty is not set: what is compared with nothing is not compared
    if not env.get("ISSUER") or not env.get("AUDIENCE"):
        sys.exit("service: ISSUER and AUDIENCE must be set")
    keys = Keys(env.get("KEYS_URL") or env["ISSUER"] + "/oauth2/jwks", env.get("CA_FILE"))
    Handler.tokens = Tokens(env["ISSUER"], env["AUDIENCE"], keys)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(env.get("PORT", "8080"))), Handler)
    server.daemon_threads = True
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
