/* SPDX-License-Identifier: MIT */
/* What shim and engine say to each other: identity, marks, connect header, control requests,
 * records. */
#ifndef QS_CONTROL_H
#define QS_CONTROL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/*
 * Theory. An engine has an identity: a public 64-bit id, which is part of its abstract socket
 * names, and a 128-bit token, which is in no name and must come with every request. Both travel to
 * children in memory (fork) and in the environment variable QUICSHIM_ENGINE (exec).
 *
 * A mapped descriptor is an AF_UNIX stream socket. It carries a *mark*, 64 bits in
 * SO_MAX_PACING_RATE, which the kernel keeps with the socket wherever it goes (dup, fork, exec,
 * SCM_RIGHTS). The mark names the state and the slot in the engine's status page (status.h), where
 * all else is found.
 *
 * connect(): the app's end connects to the engine's stream socket with the least SO_SNDBUF and
 * sends one struct qs_connect_req with a reference to itself (SCM_RIGHTS). That message fills its
 * buffer: it is not writable. The engine peeks at it (all that is said stands in the first
 * QS_CONNECT_SAID octets, since the kernel cuts the message in two), and reads it when the attempt
 * has ended well, after it has set the final mark and SO_SNDBUF through the reference. If the
 * attempt ends badly it sets a mark with the errno and closes with the header unread, which makes
 * the kernel say POLLERR and ECONNRESET. Setting SO_SNDBUF makes POLLOUT fire where a quarter of it
 * is not in use, and the app may close its descriptor at once: while the engine still holds its
 * reference, the app's epoll registration would outlive that close. So a non-blocking connect sends
 * more filler than a quarter of the final SO_SNDBUF: POLLOUT then fires when the filler is read,
 * after the reference is gone. (A blocking connect has nobody who polls.) A blocking connect waits
 * by sending one more byte, which is told from the app's own data by the SCM_RIGHTS descriptor that
 * comes with it; the engine drops both.
 *
 * In mode prefer the header brings two more descriptors: the app's own TCP socket, unconnected, and,
 * if the connect blocks, one end of a socketpair on whose other end the shim waits instead. If TCP
 * wins and the shim still waits there, the engine sends it the TCP socket back, connected, with one
 * octet. When it has no part in the attempt any more it closes that end; the mark tells the rest. If nobody waits any more, or the
 * connect does not block, the engine relays between the app's end and the TCP socket.
 *
 * listen(): one QS_OP_LISTEN request with the app's TCP socket; the reply brings the AF_UNIX
 * listener that replaces it. The engine connects to it for each stream, from an end that is bound
 * to a *record*: a printable abstract name that says slot, generation and both addresses.
 * In mode prefer the engine accepts on the TCP socket too. Such a connection comes in an *envelope*:
 * an end whose record has generation 0 (no slot has). In it are an octet with the TCP descriptor, and
 * another octet when the engine has none of it any more. The first is QS_ENVELOPE_LINGER where
 * SO_LINGER was off: it is on with 0 meanwhile, so that a connection that nobody takes is reset.
 * accept() takes the descriptor out. Where the process has no room for it, accept() sends the
 * envelope back through itself, and it is delivered again.
 */

#define QS_ENGINE_ENV "QUICSHIM_ENGINE"
#define QS_ORIGIN_ENV "QUICSHIM_ORIGIN" /* the pid of the process that chose the identity */
#define QS_PROTOCOL_VERSION 1u

/* A public id and a secret token; the text form is 16 hex digits, '-', 32 hex digits. */
struct qs_identity {
	uint64_t id;
	uint8_t token[16];
};
#define QS_IDENTITY_TEXT 50 /* with the NUL */

enum qs_channel { QS_CHANNEL_STREAM, QS_CHANNEL_CONTROL, QS_CHANNEL_STATUS };

/* 0 or -EINVAL. Takes exactly the text form. */
int qs_identity_parse(const char *text, struct qs_identity *out);
void qs_identity_format(char out[static QS_IDENTITY_TEXT], const struct qs_identity *identity);
/* Fills the abstract address `quicshim/<id>/stream|control|status`; returns its length. */
socklen_t qs_control_address(struct sockaddr_un *out, uint64_t id, enum qs_channel channel);
/* Finds the id in an address of any of the three channels or in a record. 0 or -EINVAL. */
int qs_control_address_id(const struct sockaddr_un *addr, socklen_t len, uint64_t *id);
/* Compares tokens in constant time. */
bool qs_token_equal(const uint8_t a[static 16], const uint8_t b[static 16]);

/* An address as it stands in shared memory and messages: family 0 means none. Host byte order port.
 */
struct qs_addr {
	uint16_t family; /* 0, AF_INET, AF_INET6 */
	uint16_t port;
	uint32_t scope_id;
	uint8_t ip[16]; /* IPv4 in the first four octets */
};

/* Returns 0 or -EAFNOSUPPORT (also for a len that is too short). */
int qs_addr_from_sockaddr(struct qs_addr *out, const struct sockaddr *sa, socklen_t len);
/* family is AF_INET or AF_INET6: an IPv4 address is given v4-mapped where AF_INET6 is asked for,
 * and a v4-mapped one as IPv4 where AF_INET is. Returns the length, 0 if it can't be. */
socklen_t qs_addr_to_sockaddr(const struct qs_addr *addr, int family, struct sockaddr_storage *out);

/* The mark. */
enum qs_mark_state {
	QS_MARK_CONNECTING = 1, /* set by the shim; slot and generation are 0 */
	QS_MARK_OPEN = 2,
	QS_MARK_FAILED = 3, /* errno is set until SO_ERROR has been read */
	QS_MARK_LISTENER = 4,
};
struct qs_mark {
	enum qs_mark_state state;
	uint8_t error; /* errno, 0 = none or read already */
	uint32_t slot; /* 20 bits */
	uint16_t generation;
	bool v6; /* the app's socket is AF_INET6 */
};
#define QS_SLOTS_MAX (1u << 16)

uint64_t qs_mark_encode(const struct qs_mark *mark);
/* False if the value is no mark of ours. */
bool qs_mark_decode(uint64_t value, struct qs_mark *out);

/* Socket options that AF_UNIX does not keep. Zeroed = nothing set. In the option page and in
 * messages. */
struct qs_options {
	uint32_t set; /* bit per enum qs_option that the app has set */
	int32_t value[16]; /* indexed by enum qs_option */
	char congestion[16];
	uint16_t linger_on;
	uint16_t linger_s;
	uint32_t ignored; /* how many options were accepted without effect */
	uint16_t generation; /* of the slot this belongs to; apps write only when it equals their
				mark's */
	uint8_t small_set; /* bit per small option (option.c of the shim), for reading back only */
	uint8_t small[8];
	uint8_t read_shut; /* the app has shut down reading: an end of its data is its own doing */
	struct qs_addr
		bound; /* the client's own choice before connect(); family 0 = none. Not read by the engine */
	/* For reading back only: */
	uint32_t pacing[2]; /* SO_MAX_PACING_RATE, low half and high; 0 = not set */
	struct {
		uint8_t level, name;
		int32_t value;
	} rare[6]; /* options that are none of these */
	uint8_t n_rare;
	uint8_t accepted; /* accept() has given it to the app */
	uint8_t told; /* an app was told the errno of the end, or of the attempt: nobody else is */
	uint8_t reserved[5];
};
enum qs_option {
	QS_OPT_NODELAY,
	QS_OPT_CORK,
	QS_OPT_QUICKACK,
	QS_OPT_MAXSEG,
	QS_OPT_KEEPIDLE,
	QS_OPT_KEEPINTVL,
	QS_OPT_KEEPCNT,
	QS_OPT_USER_TIMEOUT,
	QS_OPT_DEFER_ACCEPT,
	QS_OPT_TOS,
	QS_OPT_TCLASS,
	QS_OPT_V6ONLY,
	QS_OPT_SYNCNT,
	QS_OPT_LINGER2,
	QS_OPT_WINDOW_CLAMP,
	QS_OPT_KEEPALIVE,
	QS_OPT_MAX
};

/* The header of a connect. Exactly QS_CONNECT_REQ_SIZE octets are sent, in one sendmsg with one to
 * three SCM_RIGHTS descriptors: the app's end itself; mode prefer: the TCP socket, and what a blocking
 * connect waits for. */
#define QS_CONNECT_REQ_SIZE 4480
#define QS_CONNECT_MAGIC 0x51534331u
#define QS_CONNECT_TOTAL_MAX (64u * 1024u * 1024u)
/*
 * SO_SNDBUF of both ends of a stream, as setsockopt is given it: the kernel doubles it, and bounds it by
 * net.core.wmem_max. With its default of 208 KiB app and engine wake each other more than twice as often, which on a
 * busy machine is a tenth of the speed of bulk, on an idle one too little to be measured; with twice as much the octets
 * leave the processor's cache on their way. A connect that does not block keeps the default (attempt.c).
 */
#define QS_SNDBUF (256 * 1024)
#define QS_CONNECT_BLOCKING 1u /* one filler byte with a descriptor may follow */
#define QS_CONNECT_FDS_MAX 3
#define QS_NAME_MAX 254 /* a host name with its NUL */
#define QS_NAMES_MAX 4
struct qs_connect_req {
	uint32_t magic;
	uint32_t version;
	uint8_t token[16];
	uint32_t flags;
	struct qs_addr dest;
	struct qs_addr source; /* what the app bound; family 0 = nothing */
	uint16_t v6; /* the app's socket is AF_INET6 */
	uint16_t n_names; /* host names the app resolved to dest */
	uint32_t sndbuf; /* SO_SNDBUF as getsockopt would tell it, to be set at the end */
	uint32_t mark; /* SO_MARK */
	uint32_t total; /* octets sent in all: this header, and for a non-blocking connect more
			   filler */
	char device[16]; /* SO_BINDTODEVICE, "" = none */
	struct qs_options options;
	char names[QS_NAMES_MAX][QS_NAME_MAX];
	uint8_t filler[QS_CONNECT_REQ_SIZE - 108 - sizeof(struct qs_options) -
		       QS_NAMES_MAX * QS_NAME_MAX];
};
_Static_assert(sizeof(struct qs_options) == 192, "option slots are three cache lines");
#define QS_CONNECT_SAID (QS_CONNECT_REQ_SIZE / 2)
_Static_assert(offsetof(struct qs_connect_req, filler) <= QS_CONNECT_SAID,
	       "what is said fits the first piece");
_Static_assert(sizeof(struct qs_connect_req) == QS_CONNECT_REQ_SIZE, "one header, one size");

/* Requests on the control socket: one SOCK_SEQPACKET message, answered by one; then the engine
 * closes. */
#define QS_CONTROL_MAGIC 0x51534331u
enum qs_op {
	QS_OP_PAGES = 1, /* reply fds: status page (read-only), option page */
	QS_OP_PROBE = 3, /* forget listeners that are gone, now: a bind() met EADDRINUSE */
	QS_OP_PRIVILEGE = 4, /* the sender may have given up privileges: the engine follows */
	QS_OP_DRAIN = 7, /* process 1 of the engine's namespace exits: EAGAIN until all is sent */
	QS_OP_RING = 5, /* io_uring met the policy: to be counted */
	QS_OP_STAY = 6, /* as QS_OP_PAGES; and the engine stays while the sender lives */
	QS_OP_LISTEN = 2, /* request fd: the app's bound TCP socket; reply fds: listener, status
			     page, option page */
};
/* A call that gave privileges up, for an engine that is a thread of the same process. */
struct qs_mirror {
	int32_t option; /* of prctl; 0 = capset, or nothing that a thread must repeat */
	uint64_t argument[4]; /* of prctl */
	bool capset;
	uint32_t effective[2], permitted[2], inheritable[2]; /* of capset */
};
/* What io_uring did in a program. */
enum qs_ring_kind {
	QS_RING_SEEN, /* a ring was set up */
	QS_RING_MADE, /* a connect, listen, accept that the shim made or made fit */
	QS_RING_REFUSED, /* one that would have gone past the policy */
	QS_RING_MAX
};
struct qs_control_req {
	uint32_t magic;
	uint32_t version;
	uint32_t op;
	int32_t backlog;
	uint8_t token[16];
	union {
		struct qs_options options; /* of the listening socket; accepted ones inherit them */
		struct qs_mirror mirror;
		struct {
			uint32_t kind; /* enum qs_ring_kind */
			uint32_t n;
		} ring;
	};
};
_Static_assert(sizeof(struct qs_mirror) <= sizeof(struct qs_options), "requests are of one size");
struct qs_control_reply {
	uint32_t magic;
	int32_t error; /* 0 or errno */
	char text[512]; /* one line for the user where he must mend something, else "" */
};

/* The record an engine's end is bound to before it connects to an app's listener. */
struct qs_record {
	uint64_t engine;
	uint32_t slot;
	uint16_t generation;
	struct qs_addr local; /* of the accepted connection, as the app would see it on TCP */
	struct qs_addr peer;
};
/* Writes the abstract address; returns its length. */
socklen_t qs_record_encode(const struct qs_record *record, struct sockaddr_un *out);
#define QS_ENVELOPE_LINGER 1
/* It brings a TCP descriptor instead of a stream. */
static inline bool qs_record_is_envelope(const struct qs_record *record)
{
	return record->generation == 0;
}
/* 0, or -EINVAL if it is no record. */
int qs_record_decode(const struct sockaddr_un *addr, socklen_t len, struct qs_record *out);

/* How a process engine is started: argv[0] only; the environment of the helper holds QS_ENGINE_ENV,
 * QUICSHIM_POLICY (absolute, if a file was found) and QUICSHIM_LOG if set; descriptor 3 is the
 * stream listener, descriptor 4 the control listener. QS_STARTER_ENV holds the pid of the process that starts it, a
 * comma, and that of the process which chose the identity (0 = not known). Everything else is closed by the engine.
 * LD_PRELOAD is not passed. */
#define QS_STARTER_ENV "QUICSHIM_STARTER"
#define QS_HELPER_STREAM_FD 3
#define QS_HELPER_CONTROL_FD 4

/*
 * The host of an engine thread is about to exit or to exec: called by the shim on the host's thread,
 * by way of qs_engine_start.leave_hook. Returns when the process may end: the engine goes on as a
 * process of its own, or has nothing to serve, or has drained. Does nothing in a child of the host
 * (fork, vfork), the second time, or if the engine's thread is gone. Async-signal-safe; keeps errno.
 */
enum qs_leave {
	QS_LEAVE_EXIT, /* nothing brings this process back */
	QS_LEAVE_EXEC, /* execve may fail: then the process lives on, and its engine is apart */
};
typedef void qs_leave_fn(enum qs_leave how);

/* Entry of libquicshim-engine.so in thread placement. Takes the two listening descriptors
 * (duplicates them into its own table and tells through `ready`); the names point to memory that
 * lives on. Returns 0 or -errno. Called once a process, from the shim, with all signals blocked. */
struct qs_engine_start {
	struct qs_identity identity;
	const char *policy_path; /* NULL = none */
	const char *log_path; /* NULL = none */
	int stream_fd;
	int control_fd;
	/* Set by the shim: where the trap's hook is (see trap.h); the engine stores its handler
	 * there. */
	void (**trap_hook)(const char *what);
	/* The engine's thread calls it first: from then on the shim lets that thread's calls
	 * through (D10). */
	void (*thread_hook)(void);
	/* Set by the engine. */
	qs_leave_fn **leave_hook;
};
typedef int qs_engine_start_fn(const struct qs_engine_start *start);
#define QS_ENGINE_START_SYMBOL "qs_engine_start_thread"

#endif
