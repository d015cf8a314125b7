#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# Every public header compiles alone, and names its include guard after itself.
. "${srcdir:-.}/tests/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/keyward-house.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
cflags=$(pkg-config --cflags jansson 2>/dev/null)

for header in $(cd "$abs_srcdir/include" && find . -name '*.h' | sed 's,^\./,,' | sort); do
  # twice: the guard works
  printf '#include "%s"\n#include "%s"\nint keyward_house_check;\n' "$header" "$header" >"$work/one.c"
  # shellcheck disable=SC2086
  if ! ${CC:-gcc} -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only -I"$abs_srcdir/include" -Iinclude -Isrc $cflags "$work/one.c" 2>"$work/err"; then
    echo "$header"
    sed 3q "$work/err"
  fi
done >"$work/bad"
found_none "every header of include/ compiles alone" "$(cat "$work/bad")"

guards=$(cd "$abs_srcdir/include" && find . -name '*.h' | sed 's,^\./,,' | sort | while read -r header; do
  guard=KW_$(echo "$header" | tr 'a-z/.' 'A-Z__')
  grep -q "^#ifndef $guard\$" "$header" || echo "$header: expected #ifndef $guard"
done)
found_none "include guards are named after their header" "$guards"
found_none "no header is longer than 200 lines" \
  "$(cd "$abs_srcdir/include" && find . -name '*.h' | while read -r header; do n=$(wc -l <"$header"); [ "$n" -le 200 ] || echo "$header: $n lines"; done)"
finish
