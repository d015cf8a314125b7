#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# Runs one Criterion program for automake's TAP driver: numbers its points and adds two of our own: that no sanitizer
# reported anything (Criterion itself passes a test that leaks) and that the program ended as its points say.
# A plain program that prints "ok - name" and "not ok - name" (a thread test, say) is run in the same way.
#     tests/tap.sh PROGRAM
program=$1
work=$(mktemp -d "${TMPDIR:-/tmp}/keyward-tap.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=$work/sanitizer"
UBSAN_OPTIONS="${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}log_path=$work/sanitizer:print_stacktrace=1"
TSAN_OPTIONS="${TSAN_OPTIONS:+$TSAN_OPTIONS:}log_path=$work/sanitizer"
LSAN_OPTIONS="suppressions=${abs_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}/tests/leaks.txt:print_suppressions=0"
export LSAN_OPTIONS ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS
"$program" --tap >"$work/out" 2>"$work/err"
code=$?

cat "$work"/sanitizer.* >"$work/reports" 2>/dev/null
grep -E 'ERROR: (Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error:' "$work/err" >>"$work/reports"
sed 's/^/# /' "$work/err" "$work/reports"
# Criterion writes the points of one run without numbers, and its plan first.
awk -v code="$code" -v reports="$(grep -c . "$work/reports")" '
/^TAP version/ { next }
/^1\.\.[0-9]+$/ { promised = substr($0, 4) + 0; next }
/^(not )?ok( |$)/ {
	verdict = /^not/ ? "not ok" : "ok"
	line = $0
	sub(/^(not )?ok *[0-9]* */, " ", line)
	if (verdict == "not ok")
		failed++
	print verdict, ++n line
	next
}
{ print ($0 ~ /^#/ ? $0 : "# " $0) }
END {
	points = n
	print (reports ? "not ok" : "ok"), ++n " - no sanitizer report"
	whole = points > 0 && (promised == "" || promised == points) && (failed > 0 || code == 0)
	print (whole ? "ok" : "not ok"), ++n " - ended as expected (exit code " code ", " points " points)"
	print "1.." n
}' "$work/out"
