#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# No mutable globals but those on the list tests/house/globals.txt, each with its reason.
. "${srcdir:-.}/tests/lib.sh"
library=$abs_builddir/libkeyward.a
[ -f "$library" ] || library=libkeyward.a
if nm "$library" 2>/dev/null | grep -q -E ' U __(asan|tsan)_'; then
  skip "no mutable globals" "a sanitizer adds its own"
  finish
fi
listed=$(sed -n 's/^\([a-z][^ ]*\) .*/\1/p' "$abs_srcdir/tests/house/globals.txt")
found=$(objdump -t "$library" keywardd-*.o src/*.o 2>/dev/null | awk -v listed="$listed" '
BEGIN { n = split(listed, name, "\n"); for (i = 1; i <= n; i++) allowed[name[i]] = 1 }
/file format/ { file = $1; sub(/:$/, "", file) }
# written by the program: .data, .bss and their kin; not .data.rel.ro, which the loader seals
/ O / {
  for (i = 1; i <= NF; i++)
    if ($i ~ /^\.(data|bss|tdata|tbss)(\.|$)/ && $i !~ /^\.data\.rel\.ro/) {
      symbol = $NF
      sub(/\.[0-9]+$/, "", symbol)
      object = file
      sub(/^.*-/, "", object)
      sub(/\.o$/, "", object)
      if (!(symbol in allowed))
        print file ": " symbol
    }
}
/\*COM\*/ { print file ": " $NF }' | sort -u)
found_none "no mutable globals but those of tests/house/globals.txt" "$found"
finish
