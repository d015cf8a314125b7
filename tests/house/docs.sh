#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# The generated documents are those of the tables: "make docs" renews them.
. "${srcdir:-.}/tests/lib.sh"

# fresh FILE COMMAND...: what the command prints is the file
fresh()
{
  file=$1
  shift
  "$@" | diff "$abs_srcdir/$file" - | head -20
}

found_none "doc/keyward.1 is fresh" "$(fresh doc/keyward.1 "$abs_builddir/keyward" -x manual)"
found_none "doc/keyward.yaml.5 is fresh" "$(fresh doc/keyward.yaml.5 "$abs_builddir/keyward" -x config-manual)"
found_none "etc/keyward.yaml is fresh" "$(fresh etc/keyward.yaml "$abs_builddir/keywardd" -x config)"
finish
