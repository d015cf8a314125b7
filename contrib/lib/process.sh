# SPDX-License-Identifier: AGPL-3.0-or-later
# Servers that a script starts and ends by the number in a file.  To be sourced.
# shellcheck shell=bash

# process_of FILE WORDS: the number in FILE, if its process has WORDS in its command line: the number may belong to another by now.
process_of()
{
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 1
  tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$2" && echo "$pid"
}

# end_process PID [SIGNAL]: waits until it has ended; 1, and a word about it, when it has not after a minute.
end_process()
{
  kill -"${2:-TERM}" "$1" 2>/dev/null || return 0
  for _ in $(seq 1 3000); do
    # one that nobody reaps has no command line any more
    { read -r -d '' _ <"/proc/$1/cmdline"; } 2>/dev/null || return 0
    sleep 0.02
  done
  echo "process $1 does not end" >&2
  return 1
}
