#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# What may stand only in one place: SQL, transactions, memory, OpenSSL, sockets, HTML.
. "${srcdir:-.}/tests/lib.sh"
all=$(mktemp "${TMPDIR:-/tmp}/keyward-house.XXXXXX") || exit 1
trap 'rm -f "$all"' EXIT
for file in $(sources); do
  without_comments "$file"
done >"$all"

# only WHERE WHAT: lines that match WHAT in files that do not match WHERE
only()
{
  grep -E "^[^:]*:[0-9]*:.*$2" "$all" | grep -Ev "^($1)" | sed 's/[[:space:]]\{1,\}/ /g'
}

found_none "SQL stands only in src/store" \
  "$(only 'src/store/' '"[[:space:]]*(SELECT|INSERT|UPDATE|DELETE|WITH|CREATE|ALTER|DROP|PRAGMA)[[:space:]]+[A-Za-z_(]+.*(FROM|INTO|SET|TABLE|INDEX|AS|=)')"
found_none "transactions begin and end only in the drivers of src/store" \
  "$(only 'src/store/(driver|migrate|sqlite)[a-z_]*\.c' '"[[:space:]]*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)([[:space:]";]|$)')"
found_none "memory comes only from base/mem.c" \
  "$(only 'src/base/mem\.c' '(^|[^A-Za-z0-9_])(malloc|calloc|realloc|free|strdup|strndup|asprintf|vasprintf|reallocarray|alloca)[[:space:]]*\(' | grep -v 'struct [a-z_]* *{' )"
found_none "OpenSSL and libsodium only in crypt" \
  "$(only '(src|include)/crypt/' '#[[:space:]]*include[[:space:]]*<(openssl/|sodium)')"
# base/network.c reads and writes addresses; it opens nothing
found_none "sockets, libldap, libkrb5, libmicrohttpd and libcurl only in net and the command line" \
  "$(only '(src|include)/net/|src/keyward\.c|src/cli|src/base/network\.c:[0-9]*:#include <arpa/' '#[[:space:]]*include[[:space:]]*<(sys/socket|sys/un|netinet/|arpa/|netdb|ldap|lber|krb5|gssapi/|microhttpd|curl/|gnutls/)')"
found_none "SQLite only in store" "$(only 'src/store/' '#[[:space:]]*include[[:space:]]*<sqlite3')"
found_none "no HTML in C strings" "$(only 'src/build/' '"[^"]*</?(p|div|span|html|body|form|input|table|tr|td|h1|h2|a|button|label)( |>)')"
found_none "no unbounded string functions" "$(only '-' '(^|[^A-Za-z0-9_])(strcpy|strcat|sprintf|vsprintf|gets|strtok|system|popen)[[:space:]]*\(')"
found_none "every file names its licence in its first line" \
  "$(for file in $(sources); do head -1 "$abs_srcdir/$file" | grep -q 'SPDX-License-Identifier: AGPL-3.0-or-later' || echo "$file"; done)"

# The house dialect (doc/CODING.md): one SQL text for every engine.
found_none "statements keep to the house dialect" \
  "$(grep -E '^src/store/[^:]*:[0-9]*:.*("|^[^:]*:[0-9]*:[[:space:]]*")' "$all" | grep -v '^src/store/driver' |
    grep -E '"[^"]*(::[a-z]|[^A-Za-z_](now|random|strftime|datetime|json_[a-z]+|ifnull|printf|current_timestamp)\(|[[:space:]](LIKE|ILIKE|GLOB|FOR UPDATE|AUTOINCREMENT|SERIAL)[[:space:]]|INSERT OR |REPLACE INTO|[?][0-9]*[,) ])')"
finish
