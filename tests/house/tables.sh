#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# Rows of the tables are used: an event that nothing records, an error that nothing returns or a message without words
# is a mistake in the table or a hole in the code.
. "${srcdir:-.}/tests/lib.sh"
tables=$abs_srcdir/include/tables
code=$(mktemp "${TMPDIR:-/tmp}/keyward-house.XXXXXX") || exit 1
trap 'rm -f "$code"' EXIT
for file in $(sources); do
  without_comments "$file"
done >"$code"

# rows TABLE MACRO: first column of each row
rows()
{
  sed -n "s/^[[:space:]]*$2(\([A-Za-z0-9_]*\)[[:space:]]*,.*/\1/p" "$tables/$1.def"
}

# unused TABLE MACRO PREFIX SUFFIX: rows whose PREFIXnameSUFFIX no code contains
unused()
{
  rows "$1" "$2" | while read -r name; do
    grep -E "$3$name$4" "$code" >/dev/null || echo "$1.def: $name"
  done
}

[ "$(rows events EVENT | wc -l)" -gt 10 ] && [ "$(rows errors ERR | wc -l)" -gt 10 ]
point $? "the tables can be read"
found_none "every event is recorded somewhere" "$(unused events EVENT '(^|[^A-Za-z0-9_])EV_' '($|[^A-Za-z0-9_])')"
found_none "every error is returned somewhere" "$(unused errors ERR '(^|[^A-Za-z0-9_])ERR_' '($|[^A-Za-z0-9_])')"
found_none "every metric is counted somewhere" "$(unused metrics METRIC '(^|[^A-Za-z0-9_])(METRIC_)?' '($|[^A-Za-z0-9_])')"
found_none "every config key is read somewhere" "$(unused config KEY '(->|\.)' '($|[^A-Za-z0-9_])')"
found_none "every permission is asked for by a route" \
  "$(rows permissions PERM | while read -r name; do grep -q "PERM_$name[^A-Z_]" "$tables/routes.def" || echo "permissions.def: $name"; done)"
found_none "every lane is named by a route or job" \
  "$(rows lanes LANE | while read -r name; do cat "$tables/routes.def" "$code" | grep -qE "[ ,(]$name,|LANE_$name[^A-Za-z_]" || echo "lanes.def: $name"; done)"
found_none "every handler of a route exists" \
  "$(sed -n 's/^ROUTE(\(.*\)/\1/p' "$tables/routes.def" | sed 's/"[^"]*"/""/g' | awk -F, '{ gsub(/[ \t]/, "", $10); print $10 }' |
    sort -u | while read -r name; do grep -qE "HANDLER\($name\)|(^|[^a-z_])$name\(struct op" "$code" || echo "routes.def: $name"; done)"

messages=$(find "$abs_srcdir/src/web/messages" -type f 2>/dev/null)
words_of()
{
  # shellcheck disable=SC2086
  [ -n "$messages" ] && grep -hE "^[[:space:]]*(MSG\()?\"?$1\"?[[:space:]]*[:=,[:space:]]" $messages | grep -q '[a-z] '
}
found_none "every message key of an error has words" \
  "$(sed -n 's/^ERR(.*,[[:space:]]*\(msg_[a-z_]*\)).*/\1/p' "$tables/errors.def" | sort -u | while read -r key; do words_of "$key" || echo "$key"; done)"
finish
