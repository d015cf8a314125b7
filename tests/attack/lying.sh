# SPDX-License-Identifier: AGPL-3.0-or-later
# A lying directory for a test: certificates, the server (fakeldap.py), the probe, and the points that look at both.  Sourced after tests/lib.sh.
# shellcheck shell=bash

probe=$abs_builddir/tests/attack/directory_probe
work=$(mktemp -d "${TMPDIR:-/tmp}/keyward-directory.XXXXXX")
server=
finish_server()
{
  exec 7>&-
  # its input ends, and so does the probe
  [ -z "$PROBE_PID" ] || { pid=$PROBE_PID; eval "exec ${PROBE[1]}>&-"; wait "$pid"; }
  [ -z "$server" ] || wait "$server"
  rm -rf "$work"
}
trap finish_server EXIT

if [ ! -x "$probe" ] || ! command -v python3 >/dev/null || ! command -v openssl >/dev/null; then
  skip "a lying directory" "needs the probe, python3 and openssl"
  finish
fi

# --- certificates: a CA, and leaves that are right, of another name, over, and signed by nobody known

ca()
{
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -keyout "$work/$1.key" -out "$work/$1.pem" -subj "/CN=$1" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
}

# leaf NAME CA CN SAN DAYS...
leaf()
{
  local name=$1 by=$2 cn=$3 san=$4
  shift 4
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/$name.key" -out "$work/$name.csr" -subj "/CN=$cn"
  printf '%sextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' "$san" >"$work/$name.ext"
  openssl x509 -req -in "$work/$name.csr" -CA "$work/$by.pem" -CAkey "$work/$by.key" -CAcreateserial -extfile "$work/$name.ext" \
    -out "$work/$name.pem" "$@"
}

{
  ca root
  ca stranger
  leaf good root "the directory" $'subjectAltName=IP:127.0.0.1\n' -days 20
  leaf name root "127.0.0.1" $'subjectAltName=DNS:other.test\n' -days 20
  leaf address root "127.0.0.1" $'subjectAltName=IP:127.0.0.2\n' -days 20
  leaf over root "the directory" $'subjectAltName=IP:127.0.0.1\n' -days -1
  leaf foreign stranger "the directory" $'subjectAltName=IP:127.0.0.1\n' -days 20
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 20 -keyout "$work/self.key" -out "$work/self.pem" \
    -subj /CN=self -addext subjectAltName=IP:127.0.0.1
  mkdir "$work/trust"
  cp "$work/stranger.pem" "$work/trust/$(openssl x509 -in "$work/stranger.pem" -noout -hash).0"
  cp "$work/stranger.pem" "$work/trust/"
} >"$work/openssl.log" 2>&1 || cat "$work/openssl.log"

# --- one case

mkfifo "$work/orders"
python3 "$abs_srcdir/tests/attack/fakeldap.py" "$work" <"$work/orders" 2>"$work/server.log" &
server=$!
exec 7>"$work/orders"
coproc PROBE { exec "$probe" 2>"$work/probe.log"; }

# lie MODE [ldaps|starttls] [CERTIFICATE] [new|old]: opens a server; the probe is asked with ask.
lie()
{
  how=${2:-ldaps}
  rm -f "$work/ready"
  echo "$1 $how ${3:-good} ${4:-new}" >&7
  for _ in $(seq 1 6000); do
    [ ! -s "$work/ready" ] || break
    sleep 0.01
  done
  read -r port <"$work/ready"
  : >"$work/journal"
  case $how in
  ldaps) url="ldaps://127.0.0.1:$port" starttls=false ;;
  *) url="ldap://127.0.0.1:$port" starttls=true ;;
  esac
  {
    cat <<Y
roles: [{name: admin}, {name: nurse}, {name: phone}]
directories:
  - name: clinic
    url: $url
    starttls: $starttls
    bind_dn: cn=svc,dc=clinic,dc=test
Y
    of_directory
    echo "    ca: |"
    sed 's/^/      /' "$work/root.pem"
    echo "rules:"
    rules
  } >"$work/objects.yaml"
}

# What else is said of the directory, and the rules: a test may have its own.
of_directory()
{
  cat <<Y
    base: ou=people,dc=clinic,dc=test
    group_base: ou=groups,dc=clinic,dc=test
Y
}

rules()
{
  cat <<Y
  - {name: admins, directory: clinic, group: "cn=admins,ou=groups,dc=clinic,dc=test", role: admin}
  - {name: a, directory: clinic, group: "cn=a,ou=groups,dc=clinic,dc=test", role: nurse}
  - {name: b, directory: clinic, group: "cn=b,ou=groups,dc=clinic,dc=test", role: nurse}
  - {name: patterned, directory: clinic, group_pattern: "cn=adm*,ou=groups,dc=clinic,dc=test", role: phone}
Y
}

# A question to the one probe that runs all the time.
ask()
{
  local word line="$work/objects.yaml"$'\t'service-secret
  for word in "$@"; do
    line="$line"$'\t'"$word"
  done
  printf '%s\n' "$line" >&"${PROBE[1]}"
  : >"$work/answer"
  while IFS= read -r -t 120 word <&"${PROBE[0]}"; do
    [ "$word" != . ] || return 0
    printf '%s\n' "$word" >>"$work/answer"
  done
  echo "result: HUNG" >>"$work/answer"
}

# The same by a probe of its own, with its own environment.
ask_apart()
{
  timeout 120 "$probe" "$work/objects.yaml" service-secret "$@" >"$work/answer" 2>"$work/probe.log"
  [ $? -ne 124 ] || echo "result: HUNG" >>"$work/answer"
}

# What became of it: the name of the code.
result()
{
  sed -n 's/^result: //p' "$work/answer"
}

# said CODE "what"
said()
{
  [ "$(result)" = "$1" ]
  local good=$?
  point $good "$2"
  [ $good -eq 0 ] || sed 's/^/# /' "$work/answer" "$work/probe.log" "$work/server.log"
}

# has LINE "what" / has_not PATTERN "what": in the answer
has()
{
  answered "$2" -xF -- "$1"
}
# A part of a line.
has_part()
{
  answered "$2" -F -- "$1"
}
# answered WHAT GREP-OPTIONS...
answered()
{
  local what=$1 good
  shift
  grep -q "$@" "$work/answer"
  good=$?
  point $good "$what"
  [ $good -eq 0 ] || sed 's/^/# /' "$work/answer"
}

has_not()
{
  ! grep -q -- "$1" "$work/answer"
  point $? "$2"
}

# saw PATTERN / saw_no PATTERN "what": in what came to the server
saw()
{
  grep -q -- "$1" "$work/journal"
  local good=$?
  point $good "$2"
  [ $good -eq 0 ] || sed 's/^/# /' "$work/journal"
}

saw_no()
{
  ! grep -q -- "$1" "$work/journal"
  local good=$?
  point $good "$2"
  [ $good -eq 0 ] || sed 's/^/# /' "$work/journal"
}
