#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# Sizes that keep the house readable.  Files over 600 lines fail; functions over 60 lines are shown, over 100 fail.
. "${srcdir:-.}/tests/lib.sh"
work=$(mktemp "${TMPDIR:-/tmp}/keyward-house.XXXXXX") || exit 1
trap 'rm -f "$work"' EXIT

members=$(awk '/^struct op \{/ { inside = 1; next } inside && /^\};/ { exit } inside && /;/ { n++ } END { print n + 0 }' "$abs_srcdir/include/base/op.h")
[ "$members" -ge 1 ] && [ "$members" -le 10 ]
point $? "struct op has at most ten members ($members)"

found_none "no file is longer than 600 lines" \
  "$(for file in $(sources); do n=$(wc -l <"$abs_srcdir/$file"); [ "$n" -le 600 ] || echo "$file: $n lines"; done)"
found_none "no line of code is longer than 140 columns" \
  "$(for file in $(sources | grep "\.c$"); do expand "$abs_srcdir/$file" | awk -v file="$file" 'length($0) > 140 { print file ":" NR ": " length($0) " columns" }'; done)"

# A function's body stands between "{" and "}" in the first column.
for file in $(sources); do
  awk -v file="$file" '
  /^[a-z_][A-Za-z0-9_]*\(/ { name = $0; sub(/\(.*/, "", name) }
  /^\{/ { start = NR }
  /^\}/ && start { print NR - start - 1, file ":" start ": " name; start = 0 }' "$abs_srcdir/$file"
done | sort -rn >"$work"
echo "# functions: $(wc -l <"$work"), median $(awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }' "$work") lines"
awk '$1 > 60 { print "# long: " $0 }' "$work"
found_none "no function is longer than 100 lines" "$(awk '$1 > 100' "$work")"
found_none "at most one function in twenty is longer than 60 lines" \
  "$(awk '{ n++ } $1 > 60 { long++ } END { if (long * 20 > n) print long " of " n }' "$work")"
finish
