#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# The command line without a daemon: help of every command, what is refused and with which exit code, local commands.
. "${srcdir:-.}/tests/lib.sh"
keyward=$abs_builddir/keyward
work=$(mktemp -d "${TMPDIR:-/tmp}/keyward-cli.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
none=$work/no.sock

# expect CODE NAME WORDS ARGUMENT...: the exit code, and WORDS somewhere in what was said
expect()
{
  code=$1
  name=$2
  words=$3
  shift 3
  "$keyward" "$@" >"$work/said" 2>&1 </dev/null
  got=$?
  if [ "$got" -eq "$code" ] && grep -qF -- "$words" "$work/said"; then
    point 0 "$name"
  else
    point 1 "$name"
    echo "# exit $got, wanted $code and \"$words\":"
    sed 's/^/#   /' "$work/said" | head -5
  fi
}

"$keyward" -x commands | while IFS="$(printf '\t')" read -r words rest; do
  # shellcheck disable=SC2086
  "$keyward" $words --help | grep -q "^usage: keyward $words" || echo "$words"
done >"$work/helpless"
found_none "every command tells how it is used" "$(cat "$work/helpless")"
found_none "every command's path is a route" "$("$keyward" -x commands | awk -F '\t' '$2 != "" { print $2 "\t" $3 }' | while read -r method path; do
  grep -q "ROUTE($method, *\"$path\"" "$abs_srcdir/include/tables/routes.def" || echo "$method $path"
done)"

expect 0 "--help lists the commands" "directory add" --help
expect 2 "nothing is no command" "usage: keyward"
expect 2 "a slip is pointed out" 'did you mean "status"' staus
expect 2 "an unknown option" "no option --frob" status --frob
expect 2 "a missing argument" "NAME is missing" role show
expect 2 "an argument too many" "one argument too many" role show a b
expect 2 "a missing option" "--base is missing" directory add ldaps://d.test --bind-dn cn=x --password-file /dev/null
expect 2 "an option without its value" "--alg needs a value" app add a --alg
expect 2 "options that contradict each other" "contradicts" app add a --public --service
expect 2 "an argument that is not UTF-8" "not UTF-8" role show "$(printf '\377')"
expect 2 "an empty name" "must not be empty" role show ""
expect 1 "a file that is not there" "No such file" plan "$work/none.yaml"
printf 'one\ntwo\n' >"$work/password"
expect 2 "a password of two lines" "more than one line" directory password d --password-file "$work/password"
expect 5 "no daemon" "is keywardd running" --socket "$none" status
expect 5 "global options may stand anywhere" "is keywardd running" status --json --socket="$none"
expect 5 "-- ends the options" "is keywardd running" --socket "$none" role show -- --odd

printf 'organisation: Test\nissuer: https://sso.clinic.test\nlisten: nonsense\nthrottle_atempts: 3\n' >"$work/bad.yaml"
expect 1 "config check tells one mistake" "bad.yaml:3:" config check "$work/bad.yaml"
expect 1 "and the other in the same run" "throttle_attempts" config check "$work/bad.yaml"
printf 'organisation: Test\nissuer: https://sso.clinic.test\n' >"$work/good.yaml"
expect 0 "config check takes a good file" "is good" config check "$work/good.yaml"
expect 0 "config check takes --config, too" "is good" config check --config "$work/good.yaml"
expect 0 "config show fills the presets in" "session_idle" config show --effective --config "$work/good.yaml"
expect 0 "key create" "made" key create "$work/key"
point "$([ "$(stat -c %a "$work/key")" = 400 ] && [ "$(tr -d '\n' <"$work/key" | wc -c)" = 64 ] && echo 0 || echo 1)" "the key is 64 digits in a file of mode 0400"
expect 1 "key create overwrites nothing" "exists" key create "$work/key"

# json NAME PYTHON ARGUMENT...: with --json standard output is one JSON value, d, of which the condition holds
json()
{
  name=$1
  condition=$2
  shift 2
  "$keyward" --json "$@" >"$work/said" 2>"$work/words" </dev/null
  python3 -c "import json, sys; d = json.load(open(sys.argv[1])); assert $condition, d" "$work/said"
  point $? "--json: $name"
}
json "config check, good" 'd["good"] is True' config check "$work/good.yaml"
json "config check, each mistake with its place" '[(e["line"], e["column"]) for e in d["errors"]] == [(3, 9), (4, 1)] and d["code"] == "config"' \
  config check "$work/bad.yaml"
json "key create" 'd["file"].endswith("/other.key")' key create "$work/other.key"
json "key create, refused" 'd["code"] == "conflict" and "exists" in d["detail"]' key create "$work/key"
json "no daemon" 'd["code"] == "unreachable" and "is keywardd running" in d["detail"]' --socket "$none" status
printf 'master_key: %s\n' "$work/key" | cat "$work/good.yaml" - >"$work/whole.yaml"
json "a backup that is none" 'd["code"] and "no backup of Keyward" in d["detail"]' --config "$work/whole.yaml" backup verify "$work/key"
json "a configuration that cannot be used" 'd["code"] == "config" and len(d["errors"]) == 2' --config "$work/bad.yaml" backup "$work/b"
"$keyward" --config "$work/nothing.yaml" status >"$work/said" 2>&1
point "$(grep -c "^keyward: cannot read $work/nothing.yaml" "$work/said" | sed 's/1/0/;t;s/.*/1/')" "a configuration that is not there is told on a line of its own"
expect 1 "db copy knows no other engines" "postgresql://user@host/name" --config "$work/good.yaml" db copy --to mysql://a@b.test/c
finish
