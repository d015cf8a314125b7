#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# A throw-away Samba Active Directory domain controller, CLINIC.TEST, with the sample clinic: LDAPS and StartTLS on loopback with a
# certificate authority of its own, and Kerberos.  The same people, groups and folders as slapd-fixture/slapd.sh, and some whom only Active
# Directory can hold (people-ad.tsv).
#
#   ad.sh start DIR [--port 14389] [--tls-port 14636] [--kdc-port 14088] [--address A] [--bulk N]
#            first start: makes the domain and its people; then starts the server
#   ad.sh stop DIR | status DIR | reset DIR        reset: stop and forget the data
#   ad.sh env DIR            shell variables: those of slapd.sh env, and AD_REALM, AD_DOMAIN, AD_KDC, AD_KEYTAB, AD_CONTROLLER_KEYTAB, AD_PRINCIPAL,
#                            AD_CONF
#   ad.sh bulk DIR N         N invented people with five groups each, as slapd.sh bulk; while it runs, too
#   ad.sh local DIR FILE     changes the database itself as the LDIF in FILE says, as nobody could over the network (times of locks and of passwords)
#
# Who may run it: anybody, where people may make user namespaces (Debian 12 as it comes); Samba then runs as whoever calls, in a network of its
# own, and connections to the ports above are carried there.  In a container that forbids namespaces: root, with --address 127.66.2.1 (any
# free address of 127.0.0.0/8), where Samba takes its fixed ports 389, 636 and 88.
# Needs the packages of AD_PACKAGES in contrib/lib/packages.sh.
#
# SAMPLE_PASSWORD and SERVICE_PASSWORD in the environment set the passwords of people and of the service account at the first start.
# KEYWARD_AD_CACHE names a folder where a new domain is kept before its first start, and taken from when the same is asked for again: for
# tests that start many, one run long (some states are so many days from now).
set -eu
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=contrib/lib/process.sh
. "$here/../lib/process.sh"
suffix=dc=clinic,dc=test
PATH=$PATH:/usr/sbin:/sbin
case ${1:-} in
start | stop | status | reset | env | bulk | local) command=$1 ;;
*) sed -n '3,/^set -eu/s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
dir=$(readlink -m "${2:?folder}")
dc=$dir/dc
shift 2
port=14389 tls_port=14636 kdc_port=14088 address=- bulk_n=0 what=
# shellcheck disable=SC1091
[ ! -f "$dir/parameters" ] || . "$dir/parameters"
while [ $# -gt 0 ]; do
  case $1 in
  --port) port=$2; shift 2 ;;
  --tls-port) tls_port=$2; shift 2 ;;
  --kdc-port) kdc_port=$2; shift 2 ;;
  --address) address=$2; shift 2 ;;
  --bulk) bulk_n=$2; shift 2 ;;
  -*) echo "ad.sh: unknown option $1" >&2; exit 2 ;;
  *) what=$1; shift ;;
  esac
done
SAMPLE_PASSWORD=${SAMPLE_PASSWORD:-willow-lantern-42}
SERVICE_PASSWORD=${SERVICE_PASSWORD:-sync-harbour-77}
KRB5_CONFIG=$dc/etc/krb5.conf
export SAMPLE_PASSWORD SERVICE_PASSWORD KRB5_CONFIG

running() { process_of "$dir/controller.pid" "controller.py $dc "; }

certificates()
{
  [ ! -f "$dir/tls/cert.pem" ] || return 0
  mkdir -p "$dir/tls"
  (
    cd "$dir/tls"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 730 -keyout ca.key -out ca.pem \
      -subj "/CN=Sample clinic directory CA" \
      -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout cert.key -out cert.csr -subj "/CN=dc1.clinic.test"
    # libldap's tools take "localhost" for the host's own name
    printf 'subjectAltName=DNS:localhost,DNS:dc1.clinic.test,DNS:clinic.test,DNS:%s,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' \
      "$(uname -n)" >cert.ext
    openssl x509 -req -in cert.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 365 -extfile cert.ext -out cert.pem
  ) >"$dir/tls.log" 2>&1
}

# Nothing but LDAP and Kerberos: no file sharing, no DNS, no winbind.
configuration()
{
  mkdir -p "$dc/etc" "$dc/run" "$dc/log"
  printf '[libdefaults]\n\tdefault_realm = CLINIC.TEST\n\tdns_lookup_kdc = false\n\tdns_lookup_realm = false\n' >"$dc/etc/krb5.conf"
  cat >"$dc/etc/smb.conf" <<C
[global]
	netbios name = DC1
	realm = CLINIC.TEST
	workgroup = CLINIC
	server role = active directory domain controller
	server services = ldap, cldap, kdc
	interfaces = $([ "$address" = - ] && echo 127.0.0.1 || echo "$address")/8
	bind interfaces only = yes
	disable netbios = yes
	private dir = $dc/private
	state directory = $dc/state
	binddns dir = $dc/bind-dns
	cache directory = $dc/cache
	lock directory = $dc
	pid directory = $dc/run
	ncalrpc dir = $dc/run/ncalrpc
	winbindd socket directory = $dc/run/winbindd
	ntp signd socket directory = $dc/run/ntp_signd
	log file = $dc/log/log
	ldap server require strong auth = yes
	tls cafile = $dir/tls/ca.pem
	tls certfile = $dir/tls/cert.pem
	tls keyfile = $dir/tls/cert.key
[sysvol]
	path = $dc/state/sysvol
[netlogon]
	path = $dc/state/sysvol/clinic.test/scripts
C
}

new_domain()
{
  configuration
  # the first password has to please Samba's rules: three kinds of characters
  (umask 077; echo "Aa-$(openssl rand -hex 12)" >"$dir/admin.password")
  # Samba's own bindings, and so Debian's python
  if ! ADMIN_PASSWORD=$(cat "$dir/admin.password") /usr/bin/python3 "$here/provision.py" "$dc" >"$dir/provision.log" 2>&1; then
    tail -15 "$dir/provision.log" >&2
    rm -rf "$dc"
    exit 1
  fi
}

# A new domain, or the copy of one that was made with the same passwords from the same files.
domain()
{
  local kept
  [ ! -f "$dc/private/sam.ldb" ] || return 0
  rm -rf "$dc"
  if [ -z "${KEYWARD_AD_CACHE:-}" ]; then
    new_domain
    return 0
  fi
  kept=$KEYWARD_AD_CACHE/$( (echo "$SAMPLE_PASSWORD $SERVICE_PASSWORD"; cat "$here"/* "$here"/../sample-clinic/*; samba --version) | sha256sum | cut -c1-32)
  if [ ! -d "$kept" ]; then
    new_domain
    mkdir -p "$kept.$$"
    cp -a --sparse=always "$dc" "$dir/admin.password" "$kept.$$"
    # somebody else may have been first
    mv -T "$kept.$$" "$kept" 2>/dev/null || rm -rf "$kept.$$"
  else
    cp -a --sparse=always "$kept/." "$dir"
  fi
}

bulk()
{
  /usr/bin/python3 "$here/provision.py" "$dc" bulk "$1" >"$dir/bulk.log" 2>&1 || { tail -5 "$dir/bulk.log" >&2; exit 1; }
}

case $command in
start)
  if pid=$(running); then
    echo "samba runs already, process $pid"
    exit 0
  fi
  mkdir -p "$dir"
  chmod 700 "$dir"
  umask 077
  printf 'port=%s\ntls_port=%s\nkdc_port=%s\naddress=%s\n' "$port" "$tls_port" "$kdc_port" "$address" >"$dir/parameters"
  domain
  configuration
  certificates
  [ "$bulk_n" -eq 0 ] || bulk "$bulk_n"
  setsid /usr/bin/python3 "$here/controller.py" "$dc" "$address" "$port" "$tls_port" "$kdc_port" </dev/null >"$dir/controller.log" 2>&1 &
  echo $! >"$dir/controller.pid"
  for _ in $(seq 1 2400); do
    if ! kill -0 "$(cat "$dir/controller.pid")" 2>/dev/null; then
      cat "$dir/controller.log" >&2
      tail -5 "$dc/samba.out" >&2 || :
      exit 1
    fi
    if pid=$(running) && timeout 30 ldapsearch -x -LLL -o nettimeout=5 -H "ldap://127.0.0.1:$port" -b '' -s base dn >/dev/null 2>&1; then
      echo "samba runs, process $pid, ldap://localhost:$port and ldaps://localhost:$tls_port"
      exit 0
    fi
    sleep 0.05
  done
  echo "ad.sh: samba does not answer; see $dc/samba.out" >&2
  exit 1
  ;;
stop | reset)
  ! pid=$(running) || end_process "$pid"
  [ "$command" = stop ] || rm -rf "$dc"
  ;;
status)
  pid=$(running) && echo "running $pid" || { echo "not running"; exit 3; }
  ;;
local)
  ldbmodify -H "$dc/private/sam.ldb" --configfile="$dc/etc/smb.conf" --controls=local_oid:1.3.6.1.4.1.7165.4.3.12:0 "$what"
  ;;
bulk)
  bulk "$what"
  ;;
env)
  cat <<V
LDAP_URI=ldap://localhost:$port
LDAPS_URI=ldaps://localhost:$tls_port
LDAP_BASE=$suffix
LDAP_CA=$dir/tls/ca.pem
LDAP_ADMIN_DN=cn=Administrator,cn=Users,$suffix
LDAP_ADMIN_PASSWORD=$(cat "$dir/admin.password")
LDAP_BIND_DN=cn=keyward,ou=service,$suffix
AD_REALM=CLINIC.TEST
AD_DOMAIN=CLINIC
AD_KDC=localhost:$kdc_port
AD_KEYTAB=$dc/keyward.keytab
AD_CONTROLLER_KEYTAB=$dc/controller.keytab
AD_PRINCIPAL=keyward@CLINIC.TEST
AD_CONF=$dc/etc/smb.conf
V
  ;;
esac
