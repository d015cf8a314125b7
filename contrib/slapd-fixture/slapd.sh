#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# A throw-away OpenLDAP with a certificate authority of its own: LDAPS and StartTLS on loopback, ppolicy and memberof.
# Needs the packages slapd, ldap-utils and openssl, and no root: slapd runs as whoever calls.
#
#   slapd.sh start DIR [--port 13389] [--tls-port 13636] [--ldif FILE]... [--bulk N] [--no-memberof] [--fast]
#            first start: loads the files, or the sample clinic when none is given; then starts the server
#   slapd.sh stop DIR | status DIR | reset DIR        reset: stop and forget the data
#   slapd.sh env DIR          shell variables: LDAP_URI, LDAPS_URI, LDAP_BASE, LDAP_ADMIN_DN, LDAP_ADMIN_PASSWORD, ...
#   slapd.sh bulk N           N invented people with five groups each, as LDIF
#
# SAMPLE_PASSWORD and SERVICE_PASSWORD in the environment set the sample clinic's passwords at the first start.
set -eu
self=$(readlink -f "$0")
sample=$(dirname "$self")/../sample-clinic/make-ldif
# shellcheck source=contrib/lib/process.sh
. "$(dirname "$self")/../lib/process.sh"
suffix=dc=clinic,dc=test
command=${1:?command}

# awk by arithmetic, no strings built up: linear in N.
bulk()
{
  awk -v N="$1" -v S="$suffix" '
  function group(name, first, step,   i) {
    if (first >= N) return
    printf "dn: cn=%s,ou=groups,%s\nobjectClass: groupOfNames\ncn: %s\n", name, S, name
    for (i = first; i < N; i += step) printf "member: uid=b%06d,ou=bulk,ou=people,%s\n", i, S
    print ""
  }
  BEGIN {
    if (N <= 0) exit
    split("physicians nurses frontdesk billing stock", role, " ")
    printf "dn: ou=bulk,ou=people,%s\nobjectClass: organizationalUnit\nou: bulk\n\n", S
    for (i = 0; i < N; i++) {
      site = i % 20; dept = (i * 7) % 100; team = (i * 13) % 500
      printf "dn: uid=b%06d,ou=bulk,ou=people,%s\nobjectClass: inetOrgPerson\nuid: b%06d\ncn: Staff Member %d\nsn: Member%d\ngivenName: Staff\n", i, S, i, i, i
      printf "displayName: Staff Member %d\nmail: b%06d@clinic.test\ntitle: Registered Nurse\nemployeeNumber: B%d\ntelephoneNumber: +1 555 %d\n", i, i, i, 1000000 + i
      printf "memberOf: cn=bulk-all,ou=groups,%s\nmemberOf: cn=bulk-site-%d,ou=groups,%s\nmemberOf: cn=bulk-%s,ou=groups,%s\n", S, site, S, role[1 + i % 5], S
      printf "memberOf: cn=bulk-dept-%d,ou=groups,%s\nmemberOf: cn=bulk-team-%d,ou=groups,%s\n\n", dept, S, team, S
    }
    # 7 * 43 = 1 mod 100 and 13 * 77 = 1 mod 500: the people of a department without a table
    group("bulk-all", 0, 1)
    for (i = 0; i < 20; i++) group("bulk-site-" i, i, 20)
    for (i = 0; i < 5; i++) group("bulk-" role[1 + i], i, 5)
    for (i = 0; i < 100; i++) group("bulk-dept-" i, (43 * i) % 100, 100)
    for (i = 0; i < 500; i++) group("bulk-team-" i, (77 * i) % 500, 500)
  }'
}

if [ "$command" = bulk ]; then
  bulk "${2:?number of people}"
  exit 0
fi

dir=$(readlink -m "${2:?folder}")
shift 2
port=13389 tls_port=13636 memberof=1 fast=0 bulk_n=0 ldif=()
# shellcheck disable=SC1091
[ ! -f "$dir/parameters" ] || . "$dir/parameters"
while [ $# -gt 0 ]; do
  case $1 in
  --port) port=$2; shift 2 ;;
  --tls-port) tls_port=$2; shift 2 ;;
  --ldif) ldif+=("$2"); shift 2 ;;
  --bulk) bulk_n=$2; shift 2 ;;
  --no-memberof) memberof=0; shift ;;
  --fast) fast=1; shift ;;
  *) echo "slapd.sh: unknown option $1" >&2; exit 2 ;;
  esac
done

running() { process_of "$dir/slapd.pid" "$dir/"; }

certificates()
{
  [ ! -f "$dir/tls/cert.pem" ] || return 0
  mkdir -p "$dir/tls"
  (
    cd "$dir/tls"
    umask 077
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 730 -keyout ca.key -out ca.pem \
      -subj "/CN=Sample clinic directory CA" \
      -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout cert.key -out cert.csr -subj "/CN=localhost"
    # libldap takes "localhost" for the host's own name
    printf 'subjectAltName=DNS:localhost,DNS:ldap.clinic.test,DNS:%s,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' "$(uname -n)" >cert.ext
    openssl x509 -req -in cert.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 365 -extfile cert.ext -out cert.pem
  ) >"$dir/tls.log" 2>&1
}

configuration()
{
  if [ ! -f "$dir/admin.password" ]; then
    (umask 077; openssl rand -hex 12 >"$dir/admin.password")
  fi
  umask 077
  {
    cat <<C
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
moduleload memberof
moduleload refint
moduleload syncprov
pidfile $dir/slapd.pid
argsfile $dir/slapd.args
threads 4
sizelimit size.soft=500 size.hard=1000 size.pr=5000 size.prtotal=unlimited
TLSCACertificateFile $dir/tls/ca.pem
TLSCertificateFile $dir/tls/cert.pem
TLSCertificateKeyFile $dir/tls/cert.key
TLSVerifyClient never
database mdb
suffix $suffix
directory $dir/data
maxsize 4294967296
rootdn cn=admin,$suffix
rootpw $(cat "$dir/admin.password")
index objectClass,entryCSN,entryUUID,uid,cn,mail,employeeNumber,employeeType,member,memberOf eq
limits dn.exact="uid=keyward,ou=service,$suffix" size=unlimited time=unlimited
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="uid=keyward,ou=service,$suffix" read by anonymous auth by * none
C
    [ "$fast" = 0 ] || echo "dbnosync"
    if [ "$memberof" = 1 ]; then
      cat <<C
overlay memberof
memberof-group-oc groupOfNames
memberof-refint TRUE
overlay refint
refint_attributes member memberOf
refint_nothing cn=nobody,$suffix
C
    fi
    cat <<C
overlay ppolicy
ppolicy_default cn=default,ou=policies,$suffix
ppolicy_use_lockout
overlay syncprov
syncprov-checkpoint 100 1
C
  } >"$dir/slapd.conf"
}

load()
{
  [ ! -f "$dir/data/data.mdb" ] || return 0
  mkdir -p "$dir/data"
  if [ ${#ldif[@]} -gt 0 ]; then
    cat "${ldif[@]}"
  else
    /usr/bin/python3 "$sample" --suffix "$suffix" ${SAMPLE_PASSWORD:+--password "$SAMPLE_PASSWORD"} \
      ${SERVICE_PASSWORD:+--service-password "$SERVICE_PASSWORD"}
  fi >"$dir/load.ldif"
  bulk "$bulk_n" >>"$dir/load.ldif"
  # -q: no consistency checks; -w -S 0: contextCSN and entryCSN as a server would write them
  if ! /usr/sbin/slapadd -q -w -S 0 -f "$dir/slapd.conf" -b "$suffix" -l "$dir/load.ldif" >"$dir/slapadd.log" 2>&1; then
    tail -5 "$dir/slapadd.log" >&2
    rm -rf "$dir/data"
    exit 1
  fi
  rm -f "$dir/load.ldif"
}

case $command in
start)
  if pid=$(running); then
    echo "slapd runs already, process $pid"
    exit 0
  fi
  mkdir -p "$dir"
  chmod 700 "$dir"
  printf 'port=%s\ntls_port=%s\nmemberof=%s\nfast=%s\n' "$port" "$tls_port" "$memberof" "$fast" >"$dir/parameters"
  certificates
  configuration
  load
  # slapd puts itself into the background once it listens
  if ! /usr/sbin/slapd -h "ldap://127.0.0.1:$port ldaps://127.0.0.1:$tls_port" -f "$dir/slapd.conf" >"$dir/slapd.log" 2>&1; then
    cat "$dir/slapd.log" >&2
    echo "slapd.sh: slapd did not start; are the ports $port and $tls_port free?" >&2
    exit 1
  fi
  for _ in $(seq 1 3000); do
    if pid=$(running) && ldapsearch -x -LLL -H "ldap://127.0.0.1:$port" -b '' -s base dn >/dev/null 2>&1; then
      echo "slapd runs, process $pid, ldap://127.0.0.1:$port and ldaps://127.0.0.1:$tls_port"
      exit 0
    fi
    sleep 0.02
  done
  echo "slapd.sh: slapd does not answer; see $dir/slapd.log" >&2
  exit 1
  ;;
stop | reset)
  ! pid=$(running) || end_process "$pid" INT
  [ "$command" = stop ] || rm -rf "$dir/data"
  ;;
status)
  pid=$(running) && echo "running $pid" || { echo "not running"; exit 3; }
  ;;
env)
  cat <<V
LDAP_URI=ldap://localhost:$port
LDAPS_URI=ldaps://localhost:$tls_port
LDAP_BASE=$suffix
LDAP_CA=$dir/tls/ca.pem
LDAP_ADMIN_DN=cn=admin,$suffix
LDAP_ADMIN_PASSWORD=$(cat "$dir/admin.password")
LDAP_BIND_DN=uid=keyward,ou=service,$suffix
V
  ;;
*)
  echo "slapd.sh: unknown command $command" >&2
  exit 2
  ;;
esac
