#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# The checks of the house can fail: each is run on a copy of the sources with one sin in it.
. "${srcdir:-.}/tests/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/keyward-self.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

fresh()
{
  rm -rf "$work/tree"
  mkdir -p "$work/tree/tests"
  cp -r "$abs_srcdir/src" "$abs_srcdir/include" "$work/tree/"
  cp -r "$abs_srcdir/tests/lib.sh" "$abs_srcdir/tests/house" "$work/tree/tests/"
  chmod -R u+w "$work/tree"
}

# sin CHECK POINT WHAT FILE TEXT: with TEXT at the end of FILE, the point of the check whose name contains POINT fails
sin()
{
  fresh
  printf '%s\n' "$5" >>"$work/tree/$4"
  (cd "$abs_builddir" && srcdir=$work/tree abs_srcdir=$work/tree sh "$work/tree/tests/house/$1.sh") >"$work/out" 2>&1
  if grep -q "^not ok .*$2" "$work/out"; then
    point 0 "$1 finds $3"
  else
    point 1 "$1 finds $3"
  fi
}

sin layers "looks only downstairs" "an include upstairs" src/base/mem.c '#include "people/user.h"'
sin places "SQL stands" "SQL outside the store" src/base/mem.c 'static const char *sin = "SELECT id FROM users WHERE id = 1";'
sin places "transactions" "a transaction outside the driver" src/people/user.c 'static const char *sin = "BEGIN IMMEDIATE";'
sin places "memory" "malloc outside base/mem.c" src/base/op.c 'static void *sin(void) { return malloc(1); }'
sin places "OpenSSL" "OpenSSL outside crypt" src/store/driver.c '#include <openssl/evp.h>'
sin places "sockets" "a socket outside net" src/people/user.c '#include <sys/socket.h>'
sin places "HTML" "HTML in a C string" src/people/user.c 'static const char *sin = "<p>text</p>";'
sin places "unbounded" "strcpy" src/people/user.c 'static void sin(char *a, const char *b) { strcpy(a, b); }'
sin places "dialect" "an engine's function" src/store/user.c 'SQL_DEFINE(sin, "SELECT now() FROM users");'
sin headers "compiles alone" "a header that needs another" include/base/text.h 'struct sin { uint_least128_t none; };'
sin size "600 lines" "a long file" src/base/mem.c "$(yes '/* */' | sed 700q)"
sin tables "event is recorded" "an event that nothing records" include/tables/events.def 'EVENT(SIN, "sin", CHANGE, INFO, "", "Sin.")'
sin tables "error is returned" "an error that nothing returns" include/tables/errors.def 'ERR(SIN, 400, "x", INFO, msg_sin)'
sin tables "message key" "an error without words" include/tables/errors.def 'ERR(SIN2, 400, "x", INFO, msg_without_words)'
sin tables "config key" "a key that nothing reads" include/tables/config.def 'KEY(sin_key, STR, "", 0, 1, LIVE, "Sin.")'
sin tables "handler of a route" "a route without handler" include/tables/routes.def 'ROUTE(GET, "/sin", PAGE, NONE, ANY, quick, 0, none, none, page_sin, "Sin.")'
finish
