#!/usr/bin/python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Verifies the tokens that signin.py prints against the keys that the issuer publishes, with Debian's python3-jwt and
python3-cryptography: code that has nothing in common with Keyward's own.

    signin.py | ISSUER=... CLIENT_ID=... CA_FILE=... [AUDIENCE=...] showtoken.py [--quiet]
"""
import base64
import datetime
import hashlib
import json
import os
import sys
import urllib.request
import ssl

import jwt


def fetch(url):
    context = ssl.create_default_context(cafile=os.environ.get("CA_FILE"))
    with urllib.request.urlopen(url, context=context, timeout=10) as answer:
        return json.load(answer)


def key_of(token, keys):
    head = jwt.get_unverified_header(token)
    if head["alg"] not in ("ES256", "RS256"):
        sys.exit(f"showtoken.py: unexpected algorithm {head['alg']}")
    found = [key for key in keys["keys"] if key["kid"] == head.get("kid") and key.get("use", "sig") == "sig"]
    if len(found) != 1:
        sys.exit(f"showtoken.py: {len(found)} published keys have the kid {head.get('kid')}")
    return head, jwt.PyJWK(found[0]).key


def verified(token, keys, audience):
    head, key = key_of(token, keys)
    claims = jwt.decode(token, key, algorithms=[head["alg"]], audience=audience, issuer=os.environ["ISSUER"],
                        options={"require": ["exp", "iat", "iss", "sub", "aud"]})
    return head, claims


def show(title, head, claims):
    print(f"{title}: signature, issuer, audience and lifetime are good")
    print("  " + json.dumps(head))
    for line in json.dumps(claims, indent=2, ensure_ascii=False).splitlines():
        print("  " + line)
    print(f"  (valid until {datetime.datetime.fromtimestamp(claims['exp']):%H:%M:%S})\n")


def main():
    tokens = json.load(sys.stdin)
    metadata = fetch(os.environ["ISSUER"] + "/.well-known/openid-configuration")
    keys = fetch(metadata["jwks_uri"])
    client = os.environ["CLIENT_ID"]
    id_head, id_claims = verified(tokens["id_token"], keys, client)
    at_head, at_claims = verified(tokens["access_token"], keys, os.environ.get("AUDIENCE") or client)
    if id_claims.get("nonce") != tokens["nonce"]:
        sys.exit("showtoken.py: the ID token's nonce is not the request's")
    if "at_hash" in id_claims:
        # OpenID Connect Core 3.1.3.6: left half of the access token's hash
        half = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
        if base64.urlsafe_b64encode(half).rstrip(b"=").decode() != id_claims["at_hash"]:
            sys.exit("showtoken.py: at_hash does not belong to the access token")
    if id_claims["sub"] != at_claims["sub"]:
        sys.exit("showtoken.py: the two tokens name different people")
    if "--quiet" not in sys.argv:
        show("ID token", id_head, id_claims)
        show("Access token", at_head, at_claims)


if __name__ == "__main__":
    try:
        main()
    except (jwt.PyJWTError, OSError, KeyError, ValueError) as failure:
        sys.exit(f"showtoken.py: not good: {type(failure).__name__}: {failure}")
