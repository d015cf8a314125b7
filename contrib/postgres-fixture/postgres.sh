#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# A throw-away PostgreSQL in a folder of its own, on a UNIX socket there and, if wanted, on loopback with TLS and a password.
#
#     postgres.sh start DIR [--port PORT] [--durable] [-c NAME=VALUE]...   starts it; made at the first time
#     postgres.sh stop DIR             ends it and removes the folder
#     postgres.sh halt DIR             ends it, keeps the folder
#     postgres.sh kill DIR             SIGKILL to all of it, as a power cut would
#     postgres.sh database DIR NAME    a new, empty database that belongs to the role keyward; prints its address
#     postgres.sh drop DIR NAME
#     postgres.sh sql DIR [psql options]   psql as the superuser
#     postgres.sh env DIR              PG_SOCKET, PG_PORT, PG_CA, PG_PASSWORD_FILE
#
# --durable: commits wait for the disk, as they do in earnest (else fsync=off).  With --port the role keyward needs the password
# in PG_PASSWORD_FILE, and the certificate is for localhost and 127.0.0.1, good for PG_CERTIFICATE_DAYS (30).
set -u
command=${1:-} dir=${2:-}
[ -n "$command" ] && [ -n "$dir" ] || { sed -n '3,16s/^# \{0,1\}//p' "$0"; exit 2; }
shift 2
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
[ -n "$bin" ] && [ -x "$bin/initdb" ] || { echo "PostgreSQL is not installed: apt install postgresql" >&2; exit 1; }
mkdir -p "$dir" && dir=$(cd "$dir" && pwd -P) || exit 1
as=
[ "$(id -u)" -ne 0 ] || as="runuser -u postgres --"

run()
{
  (cd / && $as "$@")
}
# Whether this process is one of this cluster's; what has ended and nobody reaps is not.
runs_here()
{
  [ "$(readlink "/proc/$1/cwd")" = "$dir/data" ]
}
superuser()
{
  run psql -h "$dir" -U postgres -d "${database:-postgres}" -X -q -v ON_ERROR_STOP=1 "$@"
}
certificate()
{
  (cd "$dir" && umask 077 &&
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -keyout ca.key -out ca.pem -subj "/CN=Database test CA" \
      -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign &&
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj /CN=localhost &&
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' >server.ext &&
    openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days "${PG_CERTIFICATE_DAYS:-30}" -extfile server.ext -out server.pem) >"$dir/openssl.log" 2>&1 ||
    return 1
  [ -z "$as" ] || chown postgres "$dir/server.key" "$dir/server.pem"
  chmod 644 "$dir/ca.pem" "$dir/server.pem"
}
make_cluster()
{
  [ -z "$as" ] || chown postgres "$dir"
  run "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C -k --no-sync >"$dir/log" 2>&1 || { cat "$dir/log" >&2; return 1; }
  printf 'local all all trust\nhostssl all keyward 127.0.0.1/32 scram-sha-256\n' | run tee "$dir/data/pg_hba.conf" >/dev/null
  (umask 077 && od -An -tx1 -N16 /dev/urandom | tr -d ' \n' >"$dir/password" && echo >>"$dir/password")
  chmod 600 "$dir/password"
}
start()
{
  listen= fsync=off options=
  while [ $# -gt 0 ]; do
    case $1 in
    --port) listen=$2; shift 2 ;;
    --durable) fsync=on; shift ;;
    -c) options="$options -c $2"; shift 2 ;;
    *) echo "unknown option $1" >&2; exit 2 ;;
    esac
  done
  fresh=
  [ -f "$dir/data/PG_VERSION" ] || { make_cluster || exit 1; fresh=yes; }
  options="-c unix_socket_directories='$dir' -c fsync=$fsync -c shared_buffers=64MB -c max_connections=80$options"
  if [ -n "$listen" ]; then
    [ -f "$dir/server.pem" ] || certificate || { cat "$dir/openssl.log" >&2; exit 1; }
    options="$options -c listen_addresses=127.0.0.1 -c port=$listen -c ssl=on -c ssl_cert_file='$dir/server.pem' -c ssl_key_file='$dir/server.key'"
  else
    options="$options -c listen_addresses=''"
  fi
  echo "${listen:-5432}" >"$dir/port"
  # after kill, where nobody reaps orphans: what is left of the postmaster is not one
  if [ -f "$dir/data/postmaster.pid" ] && ! runs_here "$(head -1 "$dir/data/postmaster.pid")"; then
    rm -f "$dir/data/postmaster.pid" "$dir"/.s.PGSQL.*
  fi
  run "$bin/pg_ctl" -D "$dir/data" -l "$dir/data/server.log" -w -t 300 -o "$options" start >>"$dir/log" 2>&1 ||
    { tail -n 20 "$dir/log" >&2; exit 1; }
  PGPORT=$(cat "$dir/port")
  export PGPORT
  [ -z "$fresh" ] || superuser -c "CREATE ROLE keyward LOGIN PASSWORD '$(cat "$dir/password")'"
}

[ ! -f "$dir/port" ] || { PGPORT=$(cat "$dir/port"); export PGPORT; }
case $command in
start) start "$@" ;;
stop)
  run "$bin/pg_ctl" -D "$dir/data" -m immediate -w -t 300 stop >/dev/null 2>&1
  rm -rf "$dir"
  ;;
halt) run "$bin/pg_ctl" -D "$dir/data" -m fast -w -t 300 stop >/dev/null 2>&1 ;;
kill)
  head=$(head -1 "$dir/data/postmaster.pid") || exit 1
  # only what runs in this folder
  runs_here "$head" || exit 1
  # no new ones meanwhile
  kill -STOP "$head"
  all="$head $(ps -o pid= --ppid "$head")"
  kill -KILL $all
  # one that is not gone yet still holds the shared memory, and the next start is refused
  for one in $all; do
    for try in $(seq 1 3000); do
      runs_here "$one" || break
      sleep 0.02
    done
  done
  ;;
database)
  # two at once may meet at the template
  for try in $(seq 1 20); do
    superuser -c "CREATE DATABASE \"$1\" OWNER keyward TEMPLATE template0" && break
    [ "$try" -lt 20 ] || exit 1
    sleep 0.3
  done
  echo "host=$dir port=$PGPORT user=keyward dbname=$1"
  ;;
drop) superuser -c "DROP DATABASE IF EXISTS \"$1\" WITH (FORCE)" ;;
sql) superuser "$@" ;;
env)
  printf 'PG_SOCKET=%s\nPG_PORT=%s\nPG_CA=%s\nPG_PASSWORD_FILE=%s\n' "$dir" "$PGPORT" "$dir/ca.pem" "$dir/password"
  ;;
*) sed -n '3,16s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
