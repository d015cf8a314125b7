#!/usr/bin/python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""An application's and a browser's side of a sign-in, with nothing but Python's standard library.

As a program it signs a person in through the real form, redeems the code and prints the answer as JSON:

    ISSUER=... CLIENT_ID=... CLIENT_SECRET=... REDIRECT_URI=... LOGIN=... PASSWORD=... CA_FILE=... signin.py [--scope "openid roles"]

As a module: Browser keeps cookies and follows nothing by itself; App makes requests and redeems codes.
"""
import argparse
import base64
import hashlib
import html.parser
import http.client
import json
import os
import secrets
import ssl
import sys
import urllib.parse


class Failure(Exception):
    """What was expected did not come."""


class Answer:
    def __init__(self, url, response, body):
        self.url, self.status, self.headers, self.body = url, response.status, response.headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def location(self):
        target = self.headers.get("Location")
        return urllib.parse.urljoin(self.url, target) if target is not None else None


class Forms(html.parser.HTMLParser):
    """Every form of a page: action, method, and the fields with their values."""

    def __init__(self):
        super().__init__()
        self.forms = []

    def handle_starttag(self, tag, attrs):
        attrs = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append({"action": attrs.get("action", ""), "method": attrs.get("method", "get").lower(), "fields": {}, "types": {}})
        elif tag in ("input", "button") and self.forms and attrs.get("name"):
            self.forms[-1]["fields"][attrs["name"]] = attrs.get("value", "")
            self.forms[-1]["types"][attrs["name"]] = attrs.get("type", "text")


class Browser:
    """Cookies, one connection kept open, and the headers that a browser sends with a form."""

    def __init__(self, ca_file=None, timeout=20, headers=None):
        self.cookies, self.timeout, self.headers = {}, timeout, dict(headers or {})
        self.context = ssl.create_default_context(cafile=ca_file) if ca_file else None
        self.connection, self.peer = None, None

    def _connect(self, parts):
        peer = (parts.scheme, parts.hostname, parts.port)
        if self.connection is None or self.peer != peer:
            self.close()
            if parts.scheme == "https":
                self.connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=self.timeout, context=self.context)
            else:
                self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=self.timeout)
            self.peer = peer
        return self.connection

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def request(self, method, url, body=None, headers=None):
        parts = urllib.parse.urlsplit(url)
        sent = {"User-Agent": "keyward-signin", "Accept": "*/*", **self.headers, **(headers or {})}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        path = parts.path or "/"
        if parts.query:
            path += "?" + parts.query
        for attempt in (1, 2):
            connection = self._connect(parts)
            is_kept = connection.sock is not None
            try:
                connection.request(method, path, body, sent)
                response = connection.getresponse()
                break
            except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLError):
                # the server may close a connection it has kept; a fresh one is another matter
                self.close()
                if not is_kept or attempt == 2:
                    raise
        answer = Answer(url, response, response.read())
        for header in response.headers.get_all("Set-Cookie") or ():
            self._remember(header)
        if response.headers.get("Connection", "").lower() == "close":
            self.close()
        return answer

    def _remember(self, header):
        first, *attributes = header.split(";")
        name, _, value = first.strip().partition("=")
        is_gone = any(a.strip().lower() == "max-age=0" for a in attributes)
        if is_gone or value == "":
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value

    def get(self, url, **headers):
        return self.request("GET", url, headers=headers)

    def post(self, url, fields, headers=None):
        parts = urllib.parse.urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        return self.request("POST", url, urllib.parse.urlencode(fields).encode(),
                            {"Content-Type": "application/x-www-form-urlencoded", "Origin": origin, **(headers or {})})

    def submit(self, page, wanted, **values):
        """Fills the form of the page that has a field named wanted and sends it."""
        forms = Forms()
        forms.feed(page.text)
        for form in forms.forms:
            if wanted in form["fields"]:
                fields = {**form["fields"], **values}
                target = urllib.parse.urljoin(page.url, form["action"] or page.url)
                return self.post(target, fields)
        raise Failure(f"{page.url} (status {page.status}) has no form with a field {wanted!r}")


class App:
    """A relying party: it discovers the provider, starts sign-ins and redeems codes."""

    def __init__(self, issuer, client_id, client_secret=None, redirect_uri=None, ca_file=None):
        self.issuer, self.client_id, self.client_secret, self.redirect_uri = issuer, client_id, client_secret, redirect_uri
        self.backchannel = Browser(ca_file)
        answer = self.backchannel.get(issuer + "/.well-known/openid-configuration")
        if answer.status != 200:
            raise Failure(f"discovery answered {answer.status}: {answer.text[:300]}")
        self.metadata = answer.json
        if self.metadata.get("issuer") != issuer:
            raise Failure(f"discovery names the issuer {self.metadata.get('issuer')!r}, expected {issuer!r}")

    def start(self, scope, **more):
        """A new request: its address, and what has to be remembered for the answer.  A parameter of None is left out."""
        memory = {"state": secrets.token_urlsafe(16), "nonce": secrets.token_urlsafe(16), "verifier": secrets.token_urlsafe(48)}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(memory["verifier"].encode()).digest()).rstrip(b"=").decode()
        query = {"response_type": "code", "client_id": self.client_id, "redirect_uri": self.redirect_uri, "scope": scope,
                 "state": memory["state"], "nonce": memory["nonce"], "code_challenge": challenge, "code_challenge_method": "S256", **more}
        query = {name: value for name, value in query.items() if value is not None}
        return self.metadata["authorization_endpoint"] + "?" + urllib.parse.urlencode(query), memory

    def read_answer(self, url, memory):
        """The code out of a redirect to this application; checks state and issuer (RFC 9207)."""
        if not url.startswith(self.redirect_uri):
            raise Failure(f"sent to {url!r} instead of {self.redirect_uri!r}")
        answer = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
        if answer.get("state") != memory["state"]:
            raise Failure("the answer's state is not the request's")
        if answer.get("iss") != self.issuer:
            raise Failure(f"the answer names the issuer {answer.get('iss')!r}")
        if "code" not in answer:
            raise Failure(f"no code: {answer.get('error')}: {answer.get('error_description')}")
        return answer["code"]

    def post(self, endpoint, fields, auth="basic"):
        """To an endpoint of the metadata, as this client."""
        headers, fields = {}, dict(fields)
        if auth == "basic" and self.client_secret is not None:
            pair = urllib.parse.quote(self.client_id, safe="") + ":" + urllib.parse.quote(self.client_secret, safe="")
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        elif auth == "post" and self.client_secret is not None:
            fields.update(client_id=self.client_id, client_secret=self.client_secret)
        elif auth is not None:
            fields["client_id"] = self.client_id
        return self.backchannel.post(self.metadata[endpoint], fields, headers)

    def redeem(self, code, memory, **more):
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.redirect_uri,
                  "code_verifier": memory["verifier"], **more}
        return self.post("token_endpoint", {name: value for name, value in fields.items() if value is not None})

    def refresh(self, token, **more):
        return self.post("token_endpoint", {"grant_type": "refresh_token", "refresh_token": token, **more})

    def introspect(self, token):
        return self.introspect_raw(token).json

    def introspect_raw(self, token):
        return self.post("introspection_endpoint", {"token": token})

    def revoke(self, token):
        return self.post("revocation_endpoint", {"token": token})


def authorize(browser, app, login, password, scope="openid", **more):
    """Goes through the sign-in page as a person would (or past it, with a live session); gives (code, memory)."""
    url, memory = app.start(scope, **more)
    answer = browser.get(url)
    has_tried = False
    for _ in range(12):
        if answer.status in (302, 303):
            if answer.location.startswith(app.redirect_uri):
                return app.read_answer(answer.location, memory), memory
            answer = browser.get(answer.location)
        elif answer.status == 200 and not has_tried:
            has_tried = True
            answer = browser.submit(answer, "password", **{login_field(answer): login, "password": password})
        else:
            raise Failure(f"{answer.url} answered {answer.status}: {plain(answer.text)}")
    raise Failure("sent around in a circle")


def login_field(page):
    """Name of the field before the password."""
    forms = Forms()
    forms.feed(page.text)
    for form in forms.forms:
        if "password" in form["fields"]:
            for name, kind in form["types"].items():
                if kind in ("text", "email"):
                    return name
    raise Failure(f"{page.url} has no sign-in form")


def plain(page):
    """Words of a page, for messages: of its main part where it has one."""
    words = []
    start = page.find("<main")
    page = page[start:] if start >= 0 else page

    class Words(html.parser.HTMLParser):
        is_hidden = False

        def handle_starttag(self, tag, attrs):
            self.is_hidden = tag in ("style", "script", "title")

        def handle_data(self, data):
            if not self.is_hidden and data.strip():
                words.append(" ".join(data.split()))

    Words().feed(page)
    return " / ".join(words)[:3000]


def main():
    parser = argparse.ArgumentParser(description="Sign a person in and print the tokens as JSON.")
    parser.add_argument("--scope", default="openid profile email roles offline_access")
    options = parser.parse_args()
    env = os.environ
    app = App(env["ISSUER"], env["CLIENT_ID"], env.get("CLIENT_SECRET") or None, env["REDIRECT_URI"], env.get("CA_FILE"))
    browser = Browser(env.get("CA_FILE"))
    code, memory = authorize(browser, app, env["LOGIN"], env["PASSWORD"], options.scope)
    answer = app.redeem(code, memory)
    if answer.status != 200:
        raise Failure(f"the token endpoint answered {answer.status}: {answer.text[:300]}")
    print(json.dumps({**answer.json, "nonce": memory["nonce"]}, indent=2))


if __name__ == "__main__":
    try:
        main()
    except (Failure, OSError) as failure:
        sys.exit(f"signin.py: {failure}")
