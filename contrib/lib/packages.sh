# SPDX-License-Identifier: AGPL-3.0-or-later
# The Debian 12 packages, by what needs them; doc/dependencies.md says why.  To be sourced.
BUILD_PACKAGES="build-essential autoconf automake pkg-config libjansson-dev libyaml-dev libssl-dev libsodium-dev libsqlite3-dev libpq-dev
  libmicrohttpd-dev libldap-dev libgnutls28-dev libkrb5-dev libunistring-dev libcurl4-openssl-dev sqlite3"
QUICKSTART_PACKAGES="slapd ldap-utils openssl curl jq python3 python3-jwt python3-cryptography procps"
# contrib/ad-fixture: Samba as a domain controller, its Python bindings, and Kerberos' tools
AD_PACKAGES="samba samba-ad-provision samba-dsdb-modules python3-samba ldb-tools krb5-user"
CHECK_PACKAGES="python3-gssapi libcriterion-dev libjwt-dev postgresql nginx-light apache2-bin libapache2-mod-auth-openidc nodejs node-jose
  chromium valgrind wrk xz-utils strace systemd"

# until_it_works COMMAND...: the machine's own updates may hold a lock, or the network be away for a moment; two minutes at most.
until_it_works()
{
  tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ $tries -lt 12 ] || return 1
    echo "again in ten seconds: $*" >&2
    sleep 10
  done
}

# Installs those of the packages that are missing.
install_packages()
{
  missing=
  for package; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
  done
  if [ -z "$missing" ]; then
    echo "nothing is missing"
    return 0
  fi
  as_root=
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "missing packages:$missing; install them as root" >&2; return 1; }
    as_root=sudo
  fi
  echo "installing:$missing"
  # slapd asks for an administrator's password and starts a server of its own; neither is wanted here.
  # shellcheck disable=SC2016
  until_it_works sh -c 'echo "slapd slapd/no_configuration boolean true" | $1 debconf-set-selections' sh "$as_root" || return 1
  until_it_works $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q >/dev/null ||
    { echo "apt-get update failed" >&2; return 1; }
  # None of the servers that come with the packages starts, now or (file sharing above all) at the next boot: the scripts start their own.
  policy=
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
    $as_root chmod 755 $policy
  fi
  code=0
  # shellcheck disable=SC2086
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=600 -o Acquire::Retries=5 \
    $missing >"${TMPDIR:-/tmp}/keyward-apt.$$" 2>&1 || code=$?
  [ -z "$policy" ] || $as_root rm -f $policy
  case "$missing " in *" samba "*) $as_root systemctl disable --quiet smbd nmbd samba-ad-dc 2>/dev/null || : ;; esac
  [ $code -eq 0 ] || tail -5 "${TMPDIR:-/tmp}/keyward-apt.$$" >&2
  rm -f "${TMPDIR:-/tmp}/keyward-apt.$$"
  return $code
}
