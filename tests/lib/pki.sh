#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes the certificates that the tests use: usage: pki.sh DIR [extra-server-name...]
#
# Writes into DIR (made when missing), each as NAME.pem and NAME.key, keys of mode 0600:
#   ca          the authority that the tests trust
#   server      for localhost, server.test and the extra names, and the addresses below
#   client      a TLS client, signed by ca
#   other-ca    an authority that nobody trusts
#   other       like server, signed by other-ca
#   expired     like server, signed by ca, ended yesterday
#   wrongname   signed by ca, for wrong.test only
# Does nothing when DIR is complete. Two that start at once take turns.
# Exits 77 when certtool (gnutls-bin) is missing.

set -eu

[ $# -ge 1 ] || { echo "usage: pki.sh DIR [extra-server-name...]" >&2; exit 2; }
dir=$1
shift
extra=$*

command -v certtool >/dev/null || { echo "pki.sh: certtool (gnutls-bin) is missing" >&2; exit 77; }

umask 077
if [ ! -d "$dir" ]; then
	(umask 022 && mkdir -p "$dir")
fi
cd "$dir"
exec 9>.lock
if command -v flock >/dev/null; then flock 9; fi

# The list of names is part of what makes a directory complete.
if [ "$(cat .complete 2>/dev/null || echo none)" = "names:$extra" ]; then
	exit 0
fi
rm -f .complete

# quiet COMMAND...: its output only when it fails
quiet() {
	if ! "$@" >.out 2>&1; then
		cat .out >&2
		exit 1
	fi
}

key() {
	quiet certtool --generate-privkey --key-type=ecdsa --curve=secp256r1 --no-text \
		--outfile "$1.key"
	chmod 600 "$1.key"
}

# template NAME CN DAYS: the start of a template; what is on standard input follows
template() {
	{
		echo "cn = \"$2\""
		echo "activation_date = \"$(date -u -d '10 days ago' '+%Y-%m-%d %H:%M:%S')\""
		echo "expiration_date = \"$(date -u -d "$3" '+%Y-%m-%d %H:%M:%S')\""
		cat
	} >"$1.tmpl"
}

authority() {
	key "$1"
	template "$1" "quicshim test $1" '3650 days' <<-END
		ca
		cert_signing_key
		crl_signing_key
	END
	quiet certtool --generate-self-signed --no-text --load-privkey "$1.key" \
		--template "$1.tmpl" --outfile "$1.pem"
}

# leaf NAME AUTHORITY
leaf() {
	key "$1"
	quiet certtool --generate-certificate --no-text --load-privkey "$1.key" \
		--load-ca-certificate "$2.pem" --load-ca-privkey "$2.key" \
		--template "$1.tmpl" --outfile "$1.pem"
	chmod 644 "$1.pem"
}

server_names() {
	echo tls_www_server
	echo signing_key
	for name in localhost server.test $extra; do
		echo "dns_name = \"$name\""
	done
	for address in 127.0.0.1 ::1 10.77.0.1 10.77.0.2 fd77::1 fd77::2; do
		echo "ip_address = \"$address\""
	done
}

authority ca
authority other-ca
chmod 644 ca.pem other-ca.pem
server_names | template server localhost '3650 days'
leaf server ca
server_names | template other localhost '3650 days'
leaf other other-ca
server_names | template expired localhost '1 day ago'
leaf expired ca
template wrongname wrong.test '3650 days' <<-END
	tls_www_server
	signing_key
	dns_name = "wrong.test"
END
leaf wrongname ca
template client client.test '3650 days' <<-END
	tls_www_client
	signing_key
	dns_name = "client.test"
END
leaf client ca

rm -f ./*.tmpl .out
echo "names:$extra" >.complete
