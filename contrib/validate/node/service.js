#!/usr/bin/env node
// SPDX-License-Identifier: AGPL-3.0-or-later
// A small service that lets people in with Keyward's access tokens.  Node.js and jose 4 (Debian: nodejs, node-jose; elsewhere:
// npm install jose@4); the explanation is doc/validate-node.md.
//
//     ISSUER=https://keyward.clinic.test AUDIENCE=https://records.clinic.test PORT=8080 node service.js
//
//     GET  /me                    whose token it is
//     POST /sites/SITE/refunds    only for managers of that site
//
// Take the functions check and holds for your own service.  NODE_EXTRA_CA_CERTS names a CA of your own; Debian's modules need
// NODE_PATH=/usr/share/nodejs when node itself is not Debian's.
'use strict';
const http = require('node:http');
const { createRemoteJWKSet, jwtVerify } = require('jose');

const ISSUER = process.env.ISSUER, AUDIENCE = process.env.AUDIENCE;
const OPTIONS = {
  issuer: ISSUER,
  audience: AUDIENCE,
  algorithms: ['ES256'],        // what your application is registered with; never what the token says
  typ: 'at+jwt',                // RFC 9068 4: an ID token says "JWT" and is for the application, not for us
  clockTolerance: 30,           // seconds that two clocks may differ
};
const REQUIRED = ['sub', 'exp', 'iat', 'client_id', 'jti'];

// Fetched when a token names a key that is not known yet, but whatever strangers send at most every 20 seconds; and when they
// are older than ten minutes, so that a withdrawn key goes away.
const keys = createRemoteJWKSet(new URL(process.env.KEYS_URL || ISSUER + '/oauth2/jwks'), {
  timeoutDuration: 5000,
  cooldownDuration: 20000,
  cacheMaxAge: 600000,
});

// The claims of a good access token; throws.
async function check(token) {
  const { payload } = await jwtVerify(token, keys, OPTIONS);
  // jose checks exp when there is one; here it must be there, and so must what makes an access token (RFC 9068 2.2)
  for (const name of REQUIRED)
    if (payload[name] === undefined)
      throw new Error(`the claim ${name} is missing`);
  return payload;
}

// Role and site of one and the same grant: who is physician at one site and manager at another manages only there.
function holds(claims, role, site) {
  return (claims.grants || []).some((grant) =>
    grant.role === role && (grant.location === undefined || grant.location === site || (grant.locations || []).includes(site)));
}

function answer(response, status, body, challenge) {
  const head = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' };
  if (challenge)
    head['WWW-Authenticate'] = challenge;
  response.writeHead(status, head).end(JSON.stringify(body));
}

// RFC 6750 2.1: one Authorization header; null when it has been answered.
async function claimsOf(request, response) {
  const headers = request.headersDistinct ? request.headersDistinct.authorization || []
    : request.rawHeaders.filter((_, i, all) => i % 2 && all[i - 1].toLowerCase() === 'authorization');
  if (headers.length === 0) {
    answer(response, 401, { error: 'no token' }, 'Bearer realm="records"');
    return null;
  }
  const match = /^bearer +([A-Za-z0-9._~+/=-]+)$/i.exec(headers[0]);
  try {
    if (headers.length > 1 || !match)
      throw new Error('the Authorization header is not well formed');
    return await check(match[1]);
  } catch (failure) {
    console.error(`refused: ${failure.message}`);
    answer(response, 401, { error: 'invalid_token' }, 'Bearer realm="records", error="invalid_token"');
    return null;
  }
}

async function serve(request, response) {
  const claims = await claimsOf(request, response);
  if (!claims)
    return;
  const refund = request.method === 'POST' && /^\/sites\/([a-z0-9_-]+)\/refunds$/.exec(request.url);
  if (request.method === 'GET' && request.url === '/me')
    answer(response, 200, { sub: claims.sub, client_id: claims.client_id, grants: claims.grants || [] });
  else if (refund && holds(claims, 'manager', refund[1]))
    answer(response, 201, { refund: 'made', by: claims.sub, site: refund[1] });
  else if (refund)
    answer(response, 403, { error: 'only managers of this site' }, 'Bearer realm="records", error="insufficient_scope"');
  else
    answer(response, 404, { error: 'there is nothing here' });
}

if (!ISSUER || !AUDIENCE) {
  console.error('service.js: ISSUER and AUDIENCE must be set');       // without them jose would not check either
  process.exit(2);
}
const server = http.createServer((request, response) => {
  serve(request, response).catch((failure) => {
    console.error(failure.message);
    response.destroy();
  });
});
server.listen(Number(process.env.PORT || 8080), '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
