# SPDX-License-Identifier: MIT
# Helper functions for the tests that are shell scripts (bash); source it first.
#
#	. "$(dirname "$0")/../lib/common.sh"
#	test_begin NAME              # private folder $T, PKI, policy paths; everything ends at exit
#	policy_add TEXT...           # lines for the policy of both sides
#	start_server PIDVAR LOG CMD...   # run CMD mapped in the background, ended by pid at exit
#	start PIDVAR LOG CMD...      # the same, not mapped; CMD must be a program, not a function
#	client_begin; client CMD...; client_check STREAMS SENT RECEIVED
#	capture_begin PORT; capture_end
#	test_end
#
# Settings, all from the environment:
#	QS_BUILD    build tree (default: build/ of this checkout)
#	QS_PLAIN=1  run the same work without the shim: proves the script, and is the control of the
#	            captures, which must then see the marker that they must not see when mapped
#	QS_ENGINE   process (default) or thread: where the engine runs
#	QS_MODE     quic (default) or prefer: the mode of the policy; both ends are mapped, so nothing may differ
#	QS_FULL=1   the long form
#	QS_KEEP=1   keep the private folder and say where it is
# Exit codes: 0 passed, 1 failed, 77 skipped (something is missing on this machine; it says what).

set -euo pipefail
export LC_ALL=C
umask 022 # servers that drop root must be able to read their folders

QS_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
QS_BUILD=${QS_BUILD:-$QS_ROOT/build}
QS_PLAIN=${QS_PLAIN:-}
QS_FULL=${QS_FULL:-}
QS_ENGINE=${QS_ENGINE:-process}
QS_MODE=${QS_MODE:-quic}
PYTHON=/usr/bin/python3
[ -x "$PYTHON" ] || PYTHON=python3
PATH=$PATH:/usr/sbin:/sbin
# Each block of test content is full of it; no capture of QUIC may show it.
QS_MARKER=quicshim-plaintext-marker

qs_ports=()         # what claim_port has given
qs_pids=()          # what start() started and stop() has not ended
qs_engine_ids=()    # ids of the engines that this test caused
qs_at_exit=         # a command that the test wants to have run at its end
qs_capture=         # yes: both captures run, as the next two pids
qs_capture_tcp=
qs_capture_udp=
qs_not_proven=      # what test_end says when a proof could not be made here

note() { printf '   %s\n' "$*"; }
fail() { printf 'FAIL: %s\n' "$*" >&2; exit 1; }
skip() { printf 'SKIP: %s\n' "$*" >&2; exit 77; }
plain() { [ -n "$QS_PLAIN" ]; }
full() { [ -n "$QS_FULL" ]; }
need() { for c; do command -v "$c" >/dev/null || skip "$c is not installed here"; done; }

# hex BYTES: that many random bytes in hexadecimal
hex() { od -An -v -tx1 -N "$1" /dev/urandom | tr -d ' \n'; }

# claim_port PORT: no other test may have it while this one lives
claim_port() {
	local at=/tmp/quicshim-test-ports/$1 owner
	mkdir -m 1777 /tmp/quicshim-test-ports 2>/dev/null
	if owner=$(readlink "$at") && ! [ -d "/proc/$owner" ]; then rm -f "$at"; fi
	ln -s "$$" "$at" 2>/dev/null && qs_ports+=("$1")
}

# free_port VAR: a port that neither TCP nor UDP uses, below the ephemeral range
free_port() {
	local p
	for _ in $(seq 200); do
		p=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
		if claim_port "$p" && [ -z "$(ss -Hantu "sport = :$p")" ]; then
			printf -v "$1" %s "$p"
			return
		fi
	done
	fail "no free port in 200 tries"
}

# until_true SECONDS CMD...: wait until CMD succeeds
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# Someone answers on the port: TCP when plain, UDP when mapped. No probe packet is sent, since the
# TCP port must not see any.
port_ready() {
	if plain; then [ -n "$(ss -Hltn "sport = :$1")" ]; else [ -n "$(ss -Hlun "sport = :$1")" ]; fi
}

wait_port() {
	until_true 60 port_ready "$1" || fail "nobody listens on port $1 after 60 s${2:+ ($2)}"
}

# start PIDVAR LOG PROGRAM...: run in the background, output to LOG. (Of a shell function the pid
# would be that of a subshell, whose end would leave the program behind.)
start() {
	local var=$1 log=$2
	shift 2
	"$@" >"$log" 2>&1 </dev/null &
	printf -v "$var" %s "$!"
	qs_pids+=("$!")
}

pid_gone() { ! kill -0 "$1" 2>/dev/null; }

# stop PID [SIGNAL]: end what start() started, with force after 5 s
stop() {
	local pid=$1 p left=()
	kill "-${2:-TERM}" "$pid" 2>/dev/null || true
	until_true 5 pid_gone "$pid" || kill -KILL "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
	for p in "${qs_pids[@]}"; do [ "$p" = "$pid" ] || left+=("$p"); done
	qs_pids=(${left[@]+"${left[@]}"})
}

qs_cleanup() {
	local code=$? pid id
	trap - EXIT
	set +e
	$qs_at_exit
	for pid in ${qs_pids[@]+"${qs_pids[@]}"}; do stop "$pid"; done
	for pid in ${qs_ports[@]+"${qs_ports[@]}"}; do rm -f "/tmp/quicshim-test-ports/$pid"; done
	# Engines of their own linger for a while after their last use; this test's are ended now.
	for id in ${qs_engine_ids[@]+"${qs_engine_ids[@]}"}; do
		pid=$(engine_field "$id" .pid 2>/dev/null || true)
		case "$pid" in [1-9]*) [ "$pid" = $$ ] || kill "$pid" 2>/dev/null || true ;; esac
	done
	if [ -n "${T:-}" ]; then
		if [ "$code" != 0 ] && [ "$code" != 77 ]; then qs_show_logs; fi
		if [ -n "${QS_KEEP:-}" ]; then note "kept: $T"; else rm -rf "$T"; fi
	fi
	exit "$code"
}

qs_show_logs() {
	local f
	for f in "$T"/*.log; do
		[ -s "$f" ] || continue
		echo "--- last lines of ${f##*/}" >&2
		tail -n 15 "$f" >&2
	done
}

# test_begin NAME: the private folder, the PKI and an empty policy
test_begin() {
	QS_NAME=$1
	need ss jq certtool
	T=$(mktemp -d "/tmp/qs-$1-XXXXXX")
	trap qs_cleanup EXIT
	trap 'exit 130' INT TERM
	chmod 755 "$T"
	QS_POLICY=$T/policy.conf
	echo "== $1${QS_PLAIN:+ (plain TCP, no shim)}${QS_FULL:+ (full)}"
	if plain; then
		QS_SERVER_ENV=(env)
		QS_CLIENT_ENV=(env)
		return
	fi
	[ -e "$QS_BUILD/lib/libquicshim.so" ] ||
		skip "$QS_BUILD/lib/libquicshim.so is not built (QS_BUILD names the build tree)"
	QS_LIB=$QS_BUILD/lib
	# Programs that become another user must reach the library: not so in a tree below /root.
	if [ "$(id -u)" = 0 ] && ! setpriv --reuid=65534 --clear-groups test -r "$QS_LIB/libquicshim.so"; then
		cp -a "$QS_LIB" "$T/lib"
		QS_LIB=$T/lib
	fi
	"$QS_ROOT/tests/lib/pki.sh" "$T/pki" || fail "pki.sh failed"
	chmod 755 "$T/pki"
	printf '[defaults]\nca = %s\nengine = %s\n' "$T/pki/ca.pem" "$QS_ENGINE" >"$QS_POLICY"
	# However loaded the machine: where both ends are mapped TCP must not win.
	[ "$QS_MODE" != prefer ] || echo 'head-start = 20s' >>"$QS_POLICY"
	# Long forms compare gigabytes before they ask the engine for its figures.
	full && echo 'linger = 2m' >>"$QS_POLICY"
	chmod 644 "$QS_POLICY"
	QS_SERVER_ID=$(hex 8)
	qs_engine_ids+=("$QS_SERVER_ID")
	qs_mapped_env QS_SERVER_ENV "$QS_SERVER_ID"
	client_begin
}

# qs_mapped_env ARRAY ID: the words that start a mapped program which uses the engine ID. The id is
# chosen here and not by the shim so that tests that run side by side find their own engines.
qs_mapped_env() {
	local -n words=$1
	# shellcheck disable=SC2034 # a name reference
	words=(env "QUICSHIM_POLICY=$QS_POLICY" "QUICSHIM_ENGINE=$2-$(hex 16)"
		${QUICSHIM_LOG:+"QUICSHIM_LOG=$QUICSHIM_LOG"}
		"LD_PRELOAD=$QS_LIB/libquicshim.so")
}

# policy_port PORT: both directions of PORT travel over QUIC
policy_port() {
	plain && return
	cat >>"$QS_POLICY" <<-END
		[connect * $1]
		mode = $QS_MODE
		[listen * $1]
		mode = $QS_MODE
		cert = $T/pki/server.pem
		key = $T/pki/server.key
	END
}

client() { "${QS_CLIENT_ENV[@]}" "$@"; }

start_server() {
	local var=$1 log=$2
	shift 2
	start "$var" "$log" "${QS_SERVER_ENV[@]}" "$@"
}

# status: all engines on this machine, as JSON
status() { "$QS_BUILD/bin/quicshim-status" --json; }

# engine_field ID JQ-EXPRESSION: nothing if there is no such engine, which is the word of whoever asked for it
engine_field() { { status || true; } | jq -r --arg id "$1" ".engines[] | select(.id == \$id) | $2"; }

# engine_says ID JQ-EXPRESSION: the same, asked again where an engine process was too busy to answer in time
engine_says() {
	local tries said
	for tries in $(seq 20); do
		said=$(engine_field "$1" "$2")
		[ -z "$said" ] && [ "$QS_ENGINE" != thread ] || break
		sleep 0.2
	done
	printf '%s\n' "$said"
}

# came_to PORT: how many connections have come to the mapped listeners on that port; to any listener when plain
came_to() {
	if plain; then ss -Htn state established "sport = :$1" | wc -l; return; fi
	status | jq --arg port ":$1" '[.engines[].listeners[] | select(.address | endswith($port)) | .accepted] | add // 0'
}
have_come() { [ "$(came_to "$1")" -ge "$2" ]; }

# client_begin: what `client` runs from here on has an engine of its own
client_begin() {
	plain && return
	QS_CLIENT_ID=$(hex 8)
	qs_engine_ids+=("$QS_CLIENT_ID")
	qs_mapped_env QS_CLIENT_ENV "$QS_CLIENT_ID"
}

# qs_at_least WHO WHAT VALUE MINIMUM
qs_at_least() {
	case "$3" in '' | *[!0-9]*) fail "quicshim-status shows no engine for $1 ($2: '$3')" ;; esac
	[ "$3" -ge "$4" ] || fail "$1: $2 is $3, at least $4 expected"
}

# client_check STREAMS SENT RECEIVED: at least that many streams and bytes went through the engine
# of the clients since client_begin. To be called while it lingers (10 s after its last stream).
client_check() {
	plain && return
	local got
	got=$(engine_says "$QS_CLIENT_ID" '.totals | "\(.streams_opened) \(.bytes_sent) \(.bytes_received) \(.connections_opened)"')
	local streams sent received connections
	read -r streams sent received connections <<<"${got:-x x x x}" || true
	if [ "$QS_ENGINE" = thread ] &&
		{ [ "${streams/x/0}" -lt "$1" ] || [ "${sent/x/0}" -lt "$2" ] || [ "${received/x/0}" -lt "$3" ]; }; then
		note "status, client: engine threads begin and end with their programs: ${streams/x/0} streams of the last"
		return
	fi
	qs_at_least client streams_opened "$streams" "$1"
	qs_at_least client bytes_sent "$sent" "$2"
	qs_at_least client bytes_received "$received" "$3"
	note "status, client: $streams streams over $connections QUIC connections, $sent bytes out, $received in"
}

# server_check STREAMS SENT RECEIVED: the same for the server's engine, since the test began
server_check() {
	plain && return
	local got
	got=$(engine_says "$QS_SERVER_ID" '.totals | "\(.streams_accepted) \(.bytes_sent) \(.bytes_received) \(.connections_accepted) \(.faults_trapped)"')
	local streams sent received connections faults
	read -r streams sent received connections faults <<<"${got:-x x x x x}" || true
	qs_at_least server streams_accepted "$streams" "$1"
	qs_at_least server bytes_sent "$sent" "$2"
	qs_at_least server bytes_received "$received" "$3"
	[ "$faults" = 0 ] || fail "server: $faults faults were trapped"
	note "status, server: $streams streams over $connections QUIC connections, $sent bytes out, $received in"
}

# capture_begin PORT...: record the heads of the packets of these ports on the loopback interface
capture_begin() {
	local p filter=
	qs_capture=
	for p; do filter="$filter${filter:+ or }port $p"; done
	if ! command -v tcpdump >/dev/null; then
		qs_not_proven="tcpdump is not installed here"
		return
	fi
	qs_capture_one tcp -s 256 -w "$T/tcp.pcap" "tcp and ($filter)" || return 0
	# A bulk transfer would fill the disk: the first 20,000 datagrams are plenty, as every 64 bytes
	# of the content hold a marker.
	qs_capture_one udp -s 512 -c 20000 -w "$T/udp.pcap" "udp and ($filter)" || return 0
	qs_capture=yes
}

qs_capture_one() {
	local kind=$1 pid
	shift
	start pid "$T/tcpdump-$kind.log" tcpdump -i lo -n -U --immediate-mode -B 8192 -Z "$(id -un)" "$@"
	printf -v "qs_capture_$kind" %s "$pid"
	qs_listening() { grep -qs 'listening on' "$T/tcpdump-$kind.log" || pid_gone "$pid"; }
	until_true 10 qs_listening || true
	if pid_gone "$pid"; then
		stop "$pid"
		qs_not_proven="tcpdump can't capture here: $(tail -n 1 "$T/tcpdump-$kind.log")"
		return 1
	fi
}

# packets FILE: how many a capture holds
packets() { tcpdump -n -r "$1" 2>/dev/null | wc -l; }
marked() { grep -c -a -F -e "$QS_MARKER" "$1" || true; }

# capture_end: no TCP packet, some datagrams, no marker in them. Plain: the control, all the other
# way round, so that a capture that can't see anything is noticed.
capture_end() {
	[ -n "$qs_capture" ] || return 0
	sleep 0.3 # the last packets are on their way to tcpdump
	stop "$qs_capture_tcp" INT
	stop "$qs_capture_udp" INT
	local tcp udp marks
	tcp=$(packets "$T/tcp.pcap")
	udp=$(packets "$T/udp.pcap")
	if plain; then
		marks=$(marked "$T/tcp.pcap")
		[ "$tcp" -gt 0 ] || fail "control: the capture of plain TCP is empty"
		[ "${1:-}" = ciphered ] || [ "$marks" -gt 0 ] ||
			fail "control: no marker in the capture of plain TCP"
		note "capture, control: $tcp TCP packets, marker in $marks lines"
	else
		marks=$(marked "$T/udp.pcap")
		[ "$tcp" -eq 0 ] || fail "$tcp TCP packets on the mapped port; the first: $(tcpdump -n -r "$T/tcp.pcap" -c 1 2>/dev/null)"
		[ "$udp" -gt 0 ] || fail "no UDP datagram on the mapped port"
		[ "$marks" -eq 0 ] || fail "the content can be read in $marks places of the UDP capture"
		note "capture: 0 TCP packets, $udp UDP datagrams (first 20,000), none shows the content"
	fi
}

# content FILE BYTES: test content in which no two 64 KiB blocks and no two lines of a block are
# the same, so that loss, doubling and wrong order change the checksum, full of QS_MARKER.
content() {
	"$PYTHON" - "$1" "$2" "$QS_MARKER" <<-'END'
		import sys
		name, left, marker = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()
		lines = b"".join(b"%s line %05d of block " % (marker, i) + b"%015d\n" for i in range(1024))
		lines = lines.replace(b"%015d", b"\0" * 15)
		with open(name, "wb") as out:
		    block = 0
		    while left > 0:
		        piece = lines.replace(b"\0" * 15, b"%015d" % block)[:left]
		        out.write(piece)
		        left -= len(piece)
		        block += 1
	END
}

# same_content A B
same_content() {
	local a b
	a=$(sha256sum <"$1")
	b=$(sha256sum <"$2")
	[ "$a" = "$b" ] || fail "content differs: $1 ($(wc -c <"$1") bytes) and $2 ($(wc -c <"$2") bytes)"
}

# test_end: says how it ended; a proof that could not be made is a skip, loudly
test_end() {
	if [ -n "$qs_not_proven" ]; then
		skip "$QS_NAME works, but the capture proof could not be made: $qs_not_proven"
	fi
	echo "ok $QS_NAME"
}
