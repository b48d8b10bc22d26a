/* SPDX-License-Identifier: MIT */
/* The policy file: which TCP connections travel over QUIC, and how. See policy.conf(5). */
#ifndef QS_POLICY_H
#define QS_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define QS_POLICY_SYSTEM_FILE "/etc/quicshim/policy.conf"
#define QS_POLICY_BYTES_MAX (1024 * 1024) /* a larger file is refused */
#define QS_POLICY_LINE_MAX 4095 /* bytes of one line, its line end not counted */
#define QS_POLICY_RULES_MAX 1024 /* sections, [defaults] not counted */
#define QS_POLICY_CONNECTIONS_MAX 64
#define QS_POLICY_WORKERS_MAX 16
#define QS_POLICY_ALPN_DEFAULT "quicshim"

enum qs_mode { QS_MODE_TCP, QS_MODE_QUIC, QS_MODE_PREFER };
enum qs_placement { QS_PLACEMENT_PROCESS, QS_PLACEMENT_THREAD };
enum qs_steering {
	QS_STEERING_AUTO,
	QS_STEERING_EBPF,
	QS_STEERING_CLASSIC,
	QS_STEERING_HASH,
};
enum qs_congestion { QS_CC_CUBIC, QS_CC_BBR, QS_CC_RENO };

/* What the host word of a section says. */
enum qs_match {
	QS_MATCH_ANY, /* "*" */
	QS_MATCH_PREFIX, /* an address (all bits count) or a CIDR block */
	QS_MATCH_NAME, /* one host name; connect only */
	QS_MATCH_SUFFIX, /* "*.example.com": any depth below it; connect only */
};

/*
 * One [connect] or [listen] section with the [defaults] already merged in. Strings live in
 * the policy's arena. Keys that do not fit the kind of section have their defaults.
 * All fields are immutable once the policy is loaded.
 */
struct qs_rule {
	enum qs_mode mode;
	bool listen; /* [listen], else [connect] */
	int line; /* of the section header */

	/* match data */
	enum qs_match match;
	int family; /* QS_MATCH_PREFIX: AF_INET or AF_INET6 (never v4-mapped) */
	uint8_t addr[16]; /* QS_MATCH_PREFIX: 4 or 16 bytes, network order */
	unsigned prefix_len; /* QS_MATCH_PREFIX: bits */
	const char *name; /* QS_MATCH_NAME, _SUFFIX: in lower case, as written; else NULL */
	uint16_t port_lo, port_hi; /* host order, inclusive; "*" is 0 to 65535 */

	/*
	 * Where QUIC is. Address: endpoint if has_endpoint_addr (family and address only, its
	 * port field is 0); the wildcard of the socket's own family if endpoint_any (listen
	 * only); else the address that the app named. Port: endpoint_port, or the app's if 0.
	 */
	struct sockaddr_storage endpoint;
	bool has_endpoint_addr;
	bool endpoint_any;
	uint16_t endpoint_port; /* host order */

	const char *alpn; /* never NULL, 1 to 31 bytes */
	const char *server_name; /* connect; NULL: see qs_rule_server_name() */
	/* listen: names and *.names in lower case, one blank between two; NULL: any name */
	const char *server_names;
	const char *ca; /* connect; NULL: the system's trust store */
	const char *cert, *key; /* both set or both NULL; never NULL in a listen rule that maps */
	const char *client_ca; /* listen; NULL: clients need no certificate */
	unsigned connections; /* connect: 1 to QS_POLICY_CONNECTIONS_MAX */
	bool stream_per_connection;
	unsigned workers; /* listen: 1 to QS_POLICY_WORKERS_MAX */
	uint64_t linger_ns;
	uint64_t idle_timeout_ns;
	uint64_t handshake_timeout_ns;
	uint64_t head_start_ns; /* connect, prefer: before TCP is tried as well */
	uint64_t retry_after_ns; /* connect, prefer: the first pause after QUIC failed */
	bool plain_on_bad_certificate; /* connect, prefer */
	uint64_t keep_alive_ns; /* 0: a third of idle_timeout_ns; else less than that */
	enum qs_congestion congestion;
	enum qs_steering steering; /* listen */
	unsigned host_id; /* listen: in connection IDs */
	const char *cid_key; /* listen: file with the key of encrypted ones; NULL: in the open */
	bool migration; /* connect: follow the network; listen: let clients do so */
	int64_t udp_owner; /* listen: uid that the UDP socket shall belong to; -1: the engine's */
};

struct qs_policy {
	const char *path;
	unsigned n_rules;
	const struct qs_rule *rules; /* in file order */
	enum qs_placement placement;
	bool has_names; /* host names that the app resolves must be remembered: a connect rule
			   has a name pattern, or maps and lacks server_name */
	size_t arena_bytes; /* the mapping that holds all of this */
};

struct qs_policy_error {
	int line; /* 0: about the file as a whole */
	char text[512]; /* one line: "FILE:LINE: cause; hint", or "FILE: cause; hint" */
};

/*
 * Read, check and parse the policy file `path`. The file must be a regular file (a symbolic
 * link to one will do), owned by root or `euid`, writable by its owner only, at most
 * QS_POLICY_BYTES_MAX bytes.
 * On success *out owns everything, in one read-only mapping; end it with qs_policy_free().
 * On failure *out is NULL and *err (may be NULL) is filled in.
 * Returns 0; -EACCES: not trusted or not readable; -EINVAL: bad content; -ENOMEM; or what
 * open(2) and read(2) say (-ENOENT, ...). A caller fails closed on each of them.
 * Not async-signal-safe. Uses no heap, no stdio streams, no locale.
 */
int qs_policy_load(const char *path, uid_t euid, struct qs_policy **out,
		   struct qs_policy_error *err);

/*
 * Parse `len` bytes of text as the policy file `path` (a name for messages only). NUL bytes
 * are an error. Returns 0, -EINVAL or -ENOMEM; else as qs_policy_load().
 */
int qs_policy_parse(const char *path, const char *text, size_t len, struct qs_policy **out,
		    struct qs_policy_error *err);

/* True if the section's sockets are mapped: any mode but tcp. NULL is allowed. */
static inline bool qs_rule_maps(const struct qs_rule *rule)
{
	return rule && rule->mode != QS_MODE_TCP;
}

/* End a policy and all its rules and strings. NULL is allowed. */
void qs_policy_free(struct qs_policy *policy);

/*
 * Find the policy file to use: $QUICSHIM_POLICY (if set and not empty it counts as found, be
 * the file there or not); $XDG_CONFIG_HOME/quicshim/policy.conf, or $HOME/.config/... where
 * that is unset; /etc/quicshim/policy.conf. In secure-execution mode only the last.
 * Returns 1 with the path in buf, 0 if there is none, -ENAMETOOLONG if it does not fit (then
 * fail closed). Reads the environment: call it where no other thread changes that.
 */
int qs_policy_locate(char *buf, size_t size);

/*
 * The rule for connect() to `dest` (AF_INET or AF_INET6), NULL if there is none. The first
 * section in the file that matches wins, QS_MODE_TCP ones included. `names`: host names that
 * the app resolved to this address, none if n_names is 0. A v4-mapped address counts as IPv4;
 * the unspecified address counts as loopback, for that is where the kernel connects it to.
 * Any thread; async-signal-safe.
 */
const struct qs_rule *qs_policy_find_connect(const struct qs_policy *policy,
					     const struct sockaddr *dest, const char *const *names,
					     unsigned n_names);

/*
 * The rule for listen() on a socket bound to `local`, NULL if there is none. A wildcard bind
 * matches "*", its own address, or a CIDR block that holds it; no other address.
 * Any thread; async-signal-safe.
 */
const struct qs_rule *qs_policy_find_listen(const struct qs_policy *policy,
					    const struct sockaddr *local);

/*
 * The host name to send as SNI and to verify for a connection under `rule`: server_name if
 * set, else the first of `names` that the section's name pattern matches, else (a section
 * that names no host) the first of `names`, else NULL: verify the address.
 * Any thread; async-signal-safe.
 */
const char *qs_rule_server_name(const struct qs_rule *rule, const char *const *names,
				unsigned n_names);

#endif
