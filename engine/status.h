/* SPDX-License-Identifier: MIT */
/* What an engine shows: the status page (one slot a stream) and the status socket's messages. */
#ifndef QS_STATUS_H
#define QS_STATUS_H

#include "control.h"

#include <stdatomic.h>

/*
 * The status page is a memfd that the engine alone can write; whoever got it over the control
 * socket maps it read-only and can read it after the engine is gone. Writers make `seq` odd, write,
 * make it even: a reader copies a slot and takes the copy only if seq was even and the same before
 * and after. A slot belongs to a mark only while the generations are equal.
 */
#define QS_PAGE_MAGIC 0x5153504731ull

enum qs_slot_state {
	QS_SLOT_FREE,
	QS_SLOT_CONNECTING,
	QS_SLOT_OPEN,
	QS_SLOT_ENDED, /* in order, or with `error` */
};

struct qs_slot {
	_Atomic uint32_t seq;
	uint16_t generation;
	uint8_t state; /* enum qs_slot_state */
	uint8_t server; /* accepted */
	int32_t error; /* the errno that the next failing or empty read must tell; 0 = none */
	uint32_t rule_line;
	uint32_t path; /* index into qs_page.paths */
	struct qs_addr local; /* as the app would see it */
	struct qs_addr peer;
	_Atomic uint64_t sent_bytes; /* written by the app and taken by the engine */
	_Atomic uint64_t acked_bytes;
	_Atomic uint64_t received_bytes; /* given to the app */
	uint64_t opened_ns; /* CLOCK_MONOTONIC */
	uint16_t fin_given; /* the peer's FIN has reached the app's end: a read of 0 without it
			       means that the engine died */
	_Atomic uint16_t held; /* accept() is to tell the engine that it was there (hold.c) */
	char reason[148]; /* one line for the user when a connect failed and he must mend something,
			     else "" */
};

/* Figures of one QUIC connection, for TCP_INFO. Updated by the engine at most every few
 * milliseconds. */
struct qs_path_figures {
	_Atomic uint32_t rtt_us, rttvar_us, min_rtt_us, mss, cwnd_bytes, in_flight_bytes,
		lost_packets, retransmits;
	_Atomic uint64_t ssthresh_bytes, sent_packets, received_packets, delivery_rate;
};
#define QS_PATHS_MAX 4096u

struct qs_page {
	uint64_t magic;
	uint64_t engine; /* id */
	uint32_t version;
	uint32_t n_slots;
	int64_t pid;
	uint16_t first_generation; /* slots never taken have generation 0 */
	uint8_t reserved[30];
	struct qs_path_figures paths[QS_PATHS_MAX];
	struct qs_slot slots[]; /* QS_SLOTS_MAX */
};
#define QS_PAGE_BYTES (sizeof(struct qs_page) + QS_SLOTS_MAX * sizeof(struct qs_slot))
/* The option page is struct qs_options [QS_SLOTS_MAX]. */
#define QS_OPTION_PAGE_BYTES (QS_SLOTS_MAX * sizeof(struct qs_options))

/*
 * The status socket (abstract, SOCK_STREAM, `quicshim/<id>/status`). The client connects and reads;
 * nothing is asked. The engine sends one struct qs_status_head, then the entries, and closes. It
 * answers only its own uid and root (SO_PEERCRED); others are closed at once. All numbers in host
 * byte order.
 */
#define QS_STATUS_MAGIC 0x51535354u

/* Why a connection travels over TCP though its rule is mode prefer. quicshim-status(1) explains each. */
enum qs_reason {
	QS_REASON_NONE, /* it travels over QUIC */
	QS_REASON_REFUSED, /* the UDP port is closed, or the peer refused */
	QS_REASON_UNREACHABLE, /* no route for UDP */
	QS_REASON_TIMEOUT, /* nobody answered in time: TCP was up first, or the handshake ran out of it */
	QS_REASON_NO_ALPN, /* no application protocol in common */
	QS_REASON_CERTIFICATE, /* and the policy allows it */
	QS_REASON_NO_STREAM, /* the peer grants no more streams */
	QS_REASON_FAILED, /* any other failure of the handshake */
	QS_REASON_REMEMBERED, /* it failed a short while ago: not tried */
	QS_REASON_CLIENT, /* accepted: the client came over TCP */
	QS_REASON_MAX
};
/* As it stands in logs and in quicshim-status; "" for NONE and for what is no reason. */
static inline const char *qs_reason_name(uint32_t reason)
{
	static const char *const names[] = {
		[QS_REASON_NONE] = "",
		[QS_REASON_REFUSED] = "refused",
		[QS_REASON_UNREACHABLE] = "unreachable",
		[QS_REASON_TIMEOUT] = "timeout",
		[QS_REASON_NO_ALPN] = "no-alpn",
		[QS_REASON_CERTIFICATE] = "certificate",
		[QS_REASON_NO_STREAM] = "no-stream",
		[QS_REASON_FAILED] = "failed",
		[QS_REASON_REMEMBERED] = "remembered",
		[QS_REASON_CLIENT] = "client",
	};

	_Static_assert(sizeof(names) / sizeof(names[0]) == QS_REASON_MAX, "each has a name");
	return reason < QS_REASON_MAX ? names[reason] : "";
}
struct qs_status_totals {
	uint64_t streams_opened, streams_accepted, streams_refused, streams_reset;
	uint64_t connections_opened, connections_accepted, connections_failed;
	uint64_t bytes_sent, bytes_received;
	uint64_t datagrams_sent, datagrams_received, datagrams_dropped;
	uint64_t faults_trapped, requests_refused, options_ignored;
	uint64_t retries_sent;
	uint64_t flights_dropped; /* first flights, for there were too many to look at */
	uint64_t rings[QS_RING_MAX]; /* indexed by enum qs_ring_kind */
	uint64_t tcp[QS_REASON_MAX]; /* connections over TCP, by reason */
};
struct qs_status_head {
	uint32_t magic;
	uint32_t version; /* QS_PROTOCOL_VERSION */
	uint64_t engine;
	int64_t pid;
	uint32_t uid;
	uint32_t thread; /* 1 = placement thread */
	uint64_t uptime_ms;
	char program[32]; /* of the process that started it */
	char release[16];
	char policy[256]; /* path, "" = none; cut with "..." at the front */
	uint32_t n_connections, n_streams, n_listeners, n_members, n_verdicts, n_failures;
	uint32_t worker; /* 0 serves the requests of apps */
	uint32_t reserved;
	struct qs_status_totals totals;
	/* then n_connections * qs_status_connection, n_streams * qs_status_stream, n_listeners *
	 * qs_status_listener, n_members * qs_status_member, n_verdicts * qs_status_verdict,
	 * n_failures * qs_status_failure */
};
struct qs_status_connection {
	uint64_t id;
	uint32_t server;
	uint32_t state; /* enum qs_connection_state */
	struct qs_addr local, peer;
	char alpn[64]; /* cut */
	char sni[256];
	uint64_t rtt_us, min_rtt_us, cwnd, in_flight, sent_packets, lost_packets, received_packets;
	uint64_t path_mtu; /* largest UDP payload in use */
	uint64_t streams, bytes_sent, bytes_received, age_ms;
	uint64_t path_changes; /* moves to another address, of either side */
};
enum qs_connection_state { QS_CONNECTION_HANDSHAKE, QS_CONNECTION_OPEN, QS_CONNECTION_CLOSING };
struct qs_status_stream {
	uint64_t connection; /* 0 = none yet */
	int64_t stream; /* -1 = none yet */
	uint32_t server;
	uint32_t state; /* enum qs_slot_state */
	int64_t pid;
	char program[32];
	struct qs_addr local, remote;
	uint64_t sent, received, age_ms;
	uint32_t rule_line;
	uint32_t reason; /* enum qs_reason: NONE is QUIC, else the engine relays to TCP */
};
/* How a datagram for a member finds it. */
enum qs_rung { QS_RUNG_ALONE, QS_RUNG_HASH, QS_RUNG_CLASSIC, QS_RUNG_EBPF };
/* A server's UDP socket. */
struct qs_status_member {
	struct qs_addr endpoint;
	uint32_t slot, generation; /* in its connection IDs */
	uint32_t rung; /* enum qs_rung */
	uint32_t siblings; /* engines that share the port and talk to us */
	uint32_t listeners, connections; /* no listener: it drains */
	uint32_t undecided, reserved; /* first flights whose ClientHello is not whole */
	uint64_t handed_out, handed_in, lost; /* trains; lost: a sibling's queue was full */
	uint64_t strangers; /* refused as siblings */
	uint64_t resets, refused; /* stateless resets sent; first flights that nobody takes */
};
struct qs_status_listener {
	struct qs_addr address, endpoint;
	char alpn[64];
	int64_t pid;
	char program[32];
	uint64_t accepted, refused;
	uint64_t accepted_tcp; /* mode prefer: besides `accepted` */
	uint32_t rule_line, reserved;
};
/* A connection that took TCP. The engine may have no part in it any more, so the last ones are kept. */
#define QS_VERDICTS_MAX 64u
struct qs_status_verdict {
	uint64_t age_ms;
	int64_t pid;
	char program[32];
	struct qs_addr remote;
	uint32_t server;
	uint32_t reason; /* enum qs_reason, not NONE */
	uint32_t cause; /* of REMEMBERED: why QUIC failed then; else as reason */
	uint32_t rule_line;
	uint64_t retry_ms; /* of REMEMBERED: when QUIC was to be tried again, counted from then */
};
/* A destination where QUIC failed, and TCP did not. */
#define QS_FAILURES_MAX 1024u
struct qs_status_failure {
	struct qs_addr destination; /* UDP */
	char alpn[64];
	uint32_t reason; /* enum qs_reason */
	uint32_t failures; /* in a row */
	uint64_t retry_ms; /* until QUIC may be tried again; 0 = with the next connection */
};

#endif
