#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A network path between two namespaces of our own: to be sourced (bash), or run as a command.
#
#	. tests/netsim/path.sh
#	path_up DELAY_MS RATE_MBIT LOSS_PERCENT [relay option...]   # rate 0: no limit; delay: one way
#	path_up veth                                                # a veth pair, for speed
#	ip netns exec "$QS_NS_A" CMD...          # 10.77.0.1, fd77::1
#	ip netns exec "$QS_NS_B" CMD...          # 10.77.0.2, fd77::2
#	path_cut; path_mend                      # relay only: packets vanish, and travel again
#	path_down                                # ends the relay, removes the namespaces
#
# As a command `path.sh up ...` prints the variables, for `eval` or for another language, and
# `path.sh down NS_A NS_B [RELAY_PID FILES]` takes them back.
# Needs root, iproute2 and TUN devices: path_up exits 77 with a word where they are missing. The
# names carry the pid, so runs side by side do not meet. QS_PATH_MTU (1500) is the MTU of both ends.

qs_path_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH=$PATH:/usr/sbin:/sbin
QS_NS_A='' QS_NS_B='' QS_RELAY_PID='' QS_PATH_FILES=''

qs_path_skip() {
	path_down
	echo "SKIP: $*" >&2
	exit 77
}

# qs_relay: the relay program, built by CMake, else here and now
qs_relay() {
	local built=${QS_BUILD:-$qs_path_dir/../../build}/tests/netsim/relay
	if [ -x "$built" ]; then
		QS_RELAY=$built
	else
		QS_RELAY=$QS_PATH_FILES/relay
		"${CC:-cc}" -std=gnu17 -O2 -o "$QS_RELAY" "$qs_path_dir/relay.c" ||
			qs_path_skip "no relay program, and it can't be built here"
	fi
}

qs_path_end() { # NAMESPACE NUMBER DEVICE
	ip -n "$1" link set "$3" mtu "${QS_PATH_MTU:-1500}" txqueuelen 10000 up &&
		ip -n "$1" addr add "10.77.0.$2/24" dev "$3" &&
		ip -n "$1" addr add "fd77::$2/64" dev "$3" nodad
}

path_up() {
	[ "$(id -u)" = 0 ] || qs_path_skip "network namespaces need root"
	command -v ip >/dev/null || qs_path_skip "ip (iproute2) is not installed here"
	QS_PATH_FILES=$(mktemp -d /tmp/qs-path-XXXXXX)
	local tag=$BASHPID.$RANDOM ns
	QS_NS_A=qsA.$tag QS_NS_B=qsB.$tag
	for ns in "$QS_NS_A" "$QS_NS_B"; do
		ip netns add "$ns" 2>/dev/null || qs_path_skip "no network namespaces here"
		ip -n "$ns" link set lo up
	done
	if [ "$1" = veth ]; then
		ip link add qs0 netns "$QS_NS_A" type veth peer name qs0 netns "$QS_NS_B" 2>/dev/null ||
			qs_path_skip "no veth devices here"
	else
		local delay=$1 rate=$2 loss=$3 tries=0
		shift 3
		qs_relay
		# Its output goes to a file: a pipe would keep whoever reads ours waiting for its end.
		"$QS_RELAY" --ns-a "/run/netns/$QS_NS_A" --ns-b "/run/netns/$QS_NS_B" --dev qs0 \
			--delay "$delay" --rate "$rate" --loss "$loss" "$@" \
			>"$QS_PATH_FILES/relay.out" 2>"$QS_PATH_FILES/relay.err" </dev/null &
		QS_RELAY_PID=$!
		until grep -qs ready "$QS_PATH_FILES/relay.out"; do
			tries=$((tries + 1))
			kill -0 "$QS_RELAY_PID" 2>/dev/null && [ $tries -lt 100 ] ||
				qs_path_skip "$(cat "$QS_PATH_FILES/relay.err")"
			sleep 0.05
		done
	fi
	qs_path_end "$QS_NS_A" 1 qs0 && qs_path_end "$QS_NS_B" 2 qs0 || qs_path_skip "addresses can't be set here"
}

path_cut() { kill -USR1 "$QS_RELAY_PID"; }
path_mend() { kill -USR2 "$QS_RELAY_PID"; }

# path_down: QS_RELAY_COUNTERS is what the relay counted (JSON). May be called twice.
path_down() {
	local ns tries=0
	if [ -n "$QS_RELAY_PID" ]; then
		kill "$QS_RELAY_PID" 2>/dev/null || true
		while kill -0 "$QS_RELAY_PID" 2>/dev/null && [ $tries -lt 60 ]; do
			tries=$((tries + 1))
			sleep 0.05
		done
		wait "$QS_RELAY_PID" 2>/dev/null || true
		QS_RELAY_PID=
	fi
	if [ -n "$QS_PATH_FILES" ]; then
		# shellcheck disable=SC2034 # for the caller
		QS_RELAY_COUNTERS=$(tail -n 1 "$QS_PATH_FILES/relay.out" 2>/dev/null || true)
		rm -rf "$QS_PATH_FILES"
		QS_PATH_FILES=
	fi
	for ns in $QS_NS_A $QS_NS_B; do ip netns del "$ns" 2>/dev/null || true; done
	QS_NS_A='' QS_NS_B=''
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	case "${1:-}" in
	up)
		shift
		path_up "$@"
		printf 'QS_NS_A=%s\nQS_NS_B=%s\nQS_RELAY_PID=%s\nQS_PATH_FILES=%s\n' \
			"$QS_NS_A" "$QS_NS_B" "$QS_RELAY_PID" "$QS_PATH_FILES"
		;;
	down)
		QS_NS_A=${2:-} QS_NS_B=${3:-} QS_RELAY_PID=${4:-} QS_PATH_FILES=${5:-}
		path_down
		;;
	*)
		echo "usage: path.sh up veth | up DELAY_MS RATE_MBIT LOSS [relay option...]" >&2
		echo "       path.sh down NS_A NS_B [RELAY_PID FILES]" >&2
		exit 2
		;;
	esac
fi
