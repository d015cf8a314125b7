# SPDX-License-Identifier: AGPL-3.0-or-later
# For the shell tests: TAP points from what a check found.  To be sourced; needs $srcdir.
#     found_none "no SQL outside src/store" "$findings"       findings: text, a line each; empty is good
#     point 0 "name"                                          0 is good
#     finish
LC_ALL=C
export LC_ALL
srcdir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
abs_srcdir=$(cd "$srcdir" && pwd)
abs_builddir=${abs_builddir:-$(pwd)}
# Leaks of libraries that are one to a process (tests/leaks.txt).
LSAN_OPTIONS="suppressions=$abs_srcdir/tests/leaks.txt:print_suppressions=0"
export LSAN_OPTIONS
tap_n=0
tap_failed=0

point()
{
  tap_n=$((tap_n + 1))
  if [ "$1" -eq 0 ]; then
    echo "ok $tap_n - $2"
  else
    tap_failed=$((tap_failed + 1))
    echo "not ok $tap_n - $2"
  fi
}

skip()
{
  tap_n=$((tap_n + 1))
  echo "ok $tap_n - $1 # SKIP $2"
}

found_none()
{
  if [ -n "$2" ]; then
    point 1 "$1"
    printf '%s\n' "$2" | sed 's/^/# /'
  else
    point 0 "$1"
  fi
}

finish()
{
  echo "1..$tap_n"
  [ "$tap_failed" -eq 0 ]
  exit
}

# C files of our own, without what the build makes.
sources()
{
  (cd "$abs_srcdir" && find src include -name '*.[ch]' -type f | sort)
}

# A C file without its comments, lines kept: each line as file:number:text.
without_comments()
{
  awk -v file="$1" '
  {
    out = ""
    n = length($0)
    for (i = 1; i <= n; i++) {
      c = substr($0, i, 1)
      d = substr($0, i, 2)
      if (in_comment) {
        if (d == "*/") { in_comment = 0; i++ }
      } else if (in_string) {
        out = out c
        if (c == "\\") { out = out substr($0, ++i, 1) }
        else if (c == quote) in_string = 0
      } else if (d == "/*") { in_comment = 1; i++ }
      else if (d == "//") break
      else {
        if (c == "\"" || c == "\047") { in_string = 1; quote = c }
        out = out c
      }
    }
    in_string = 0
    print file ":" NR ":" out
  }' "$abs_srcdir/$1"
}
