#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# Generated documents are as the programs print them today ("make docs" renews them), and hand-written ones name files that exist.
. "${srcdir:-.}/tests/lib.sh"

grep -v '^#' "$abs_srcdir/doc/generated.txt" >"${TMPDIR:-/tmp}/keyward-docs.$$"
while read -r file program table; do
  stale=$("$abs_builddir/$program" -x "$table" 2>&1 | diff - "$abs_srcdir/$file" 2>&1 | sed 8q)
  found_none "$file is fresh (make docs)" "$stale"
done <"${TMPDIR:-/tmp}/keyward-docs.$$"
rm -f "${TMPDIR:-/tmp}/keyward-docs.$$"

missing=$(cd "$abs_srcdir" && cat README doc/*.md contrib/*/README | grep -oE '(^|[ `(])(src|include|tests|contrib|doc|etc)/[A-Za-z0-9_./-]+' |
  sed 's/^[ `(]//; s/[.,:]*$//' | sort -u | while read -r path; do
  case $path in *NNN* | *x.h | */ | *test_* | *what*) continue ;; esac
  [ -e "$path" ] || echo "$path"
done)
found_none "documents name files that exist" "$missing"

untold=$("$abs_builddir/keywardd" --help | grep -oE -- '--?[a-z]+' | sort -u | while read -r option; do
  tr -d '\\' <"$abs_srcdir/doc/keywardd.8" | grep -qF -- "$option" || echo "$option"
done)
found_none "keywardd(8) has every option of keywardd --help" "$untold"

help() { "$abs_builddir/keyward" "$@" --help; }
wide=$({ help; help | sed -n '/^commands:/,/^$/s/^  \([a-z ]*[a-z]\)  .*/\1/p' | while read -r words; do
  # shellcheck disable=SC2086
  help $words
done; } | awk 'length > 80' | head -5)
found_none "help fits 80 columns" "$wide"
finish
