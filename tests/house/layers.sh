#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# A room may only look downstairs: every #include "room/..." against the table layers.txt.
. "${srcdir:-.}/tests/lib.sh"
table=$abs_srcdir/tests/house/layers.txt

includes()
{
  for file in $(sources); do
    without_comments "$file" | grep -E '^[^:]*:[0-9]*:[[:space:]]*#[[:space:]]*include[[:space:]]+"'
  done
}

upstairs=$(includes | awk -v table="$table" '
BEGIN {
  while ((getline line < table) > 0) {
    if (line ~ /^#/ || line == "")
      continue
    n = split(line, word, " ")
    known[word[1]] = 1
    may[word[1], word[1]] = 1
    may[word[1], "tables"] = 1
    for (i = 2; i <= n; i++)
      may[word[1], word[i]] = 1
  }
}
{
  split($0, part, ":")
  depth = split(part[1], path, "/")
  # The doors (src/NAME.c) see every room; src/build makes sources and belongs to no room.
  if (depth < 3 || path[2] == "tables" || path[2] == "build")
    next
  target = $0
  sub(/^[^"]*"/, "", target)
  sub(/".*/, "", target)
  if (target !~ /\//)
    next
  sub(/\/.*/, "", target)
  if (!(path[2] in known))
    print part[1] ": room " path[2] " is not in tests/house/layers.txt"
  else if (target == "..")
    print part[1] ":" part[2] ": includes by a path that leaves the room"
  else if (!((path[2], target) in may))
    print part[1] ":" part[2] ": " path[2] " must not include " target
}')
found_none "every room looks only downstairs" "$upstairs"

# The table itself must not contain a circle.
circle=$(awk '!/^#/ && NF { seen[$1] = 1; for (i = 2; i <= NF; i++) if (!($i in seen)) print $1 " names " $i ", which does not stand above it" }' "$table")
found_none "layers.txt has no circle" "$circle"
finish
