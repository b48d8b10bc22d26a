/* SPDX-License-Identifier: MIT */
/* getaddrinfo and its elders: remembers names, so that rules and certificates can be matched by
 * them. */
#include "names.h"

#include "raw.h"
#include "real.h"
#include "state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

/*
 * Theory. A ring of the last ENTRIES (name, address) pairs. An entry has a sequence number that is
 * odd while it is written; a writer that meets an odd one (a writer in another thread, or one that
 * was there when this process was forked) takes the next. Readers copy and compare the number
 * again. No lock, no memory is allocated, and nothing is written unless the policy cares for names.
 *
 * Which of several names of an address is meant? A thread mostly connects to what it looked up
 * itself, the last time: its own names come first, then those of other threads (a resolver's). A
 * *weak* name is one that was hardly looked up in order to connect: the host's own name, or one to
 * bind to (AI_PASSIVE). It is what is verified only if it is the last thing that this thread looked
 * up, an address counting as well; else the address is, if no better name is known, and the weak
 * name does no more than to find a rule.
 */

#define ENTRIES 512u

struct entry {
	_Atomic uint32_t seq;
	atomic_uint lookup; /* of its thread, the last one that gave it */
	const void *thread;
	bool weak;
	struct qs_addr addr;
	char name[QS_NAME_MAX];
};

static struct entry ring[ENTRIES];
static atomic_uint next_entry;
static _Thread_local unsigned lookups; /* of this thread; its address names the thread */

static bool same(const struct qs_addr *a, const struct qs_addr *b)
{
	return a->family == b->family &&
	       !memcmp(a->ip, b->ip, a->family == AF_INET ? 4 : sizeof(a->ip));
}

/* An IPv4 address in v4-mapped clothes is an IPv4 address. */
static void unmap(struct qs_addr *addr)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	if (addr->family != AF_INET6 || memcmp(addr->ip, prefix, sizeof(prefix)) != 0)
		return;
	addr->family = AF_INET;
	memcpy(addr->ip, addr->ip + 12, 4);
	memset(addr->ip + 4, 0, 12);
}

/* The rank of a name, the best first. */
enum rank { MINE, OTHERS, MINE_WEAK, OTHERS_WEAK, RANKS };

static bool read_entry(struct entry *entry, const struct qs_addr *addr, enum rank rank, bool *fresh,
		       char out[QS_NAME_MAX])
{
	uint32_t seq = atomic_load_explicit(&entry->seq, memory_order_acquire);
	bool mine = entry->thread == &lookups;

	if (!seq || (seq & 1) || !same(&entry->addr, addr) ||
	    (entry->weak ? 2u : 0u) + (mine ? 0u : 1u) != rank)
		return false;
	*fresh = mine && atomic_load_explicit(&entry->lookup, memory_order_relaxed) == lookups;
	memcpy(out, entry->name, QS_NAME_MAX);
	atomic_thread_fence(memory_order_acquire);
	out[QS_NAME_MAX - 1] = '\0';
	return atomic_load_explicit(&entry->seq, memory_order_relaxed) == seq;
}

static bool is_listed(char names[QS_NAMES_MAX][QS_NAME_MAX], unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

unsigned qs_names_lookup(const struct qs_addr *addr, char out[QS_NAMES_MAX][QS_NAME_MAX])
{
	unsigned newest = atomic_load_explicit(&next_entry, memory_order_acquire), n = 0;
	struct qs_addr wanted = *addr;

	unmap(&wanted);
	for (unsigned rank = MINE; rank < RANKS; rank++) {
		for (unsigned i = 0; i < ENTRIES && i < newest && n < QS_NAMES_MAX; i++) {
			char name[QS_NAME_MAX];
			bool fresh;

			if (!read_entry(&ring[(newest - 1 - i) % ENTRIES], &wanted, (enum rank)rank,
					&fresh, name) ||
			    is_listed(out, n, name))
				continue;
			if (rank >= MINE_WEAK && n == 0 && !fresh)
				memset(out[n++], 0, QS_NAME_MAX);
			memcpy(out[n++], name, QS_NAME_MAX);
		}
	}
	return n;
}

/* The entry that this thread's last look-up of the name has left; NULL if the address has had another name since. */
static struct entry *find_mine(const char *name, const struct qs_addr *addr, bool weak)
{
	unsigned newest = atomic_load_explicit(&next_entry, memory_order_acquire);
	char found[QS_NAME_MAX];
	bool fresh;

	for (unsigned i = 0; i < ENTRIES && i < newest; i++) {
		struct entry *entry = &ring[(newest - 1 - i) % ENTRIES];

		if (read_entry(entry, addr, weak ? MINE_WEAK : MINE, &fresh, found))
			return strcmp(found, name) == 0 ? entry : NULL;
	}
	return NULL;
}

static void remember(const char *name, const struct qs_addr *addr, bool weak)
{
	struct entry *known = find_mine(name, addr, weak);

	if (known) {
		atomic_store_explicit(&known->lookup, lookups, memory_order_relaxed);
		return;
	}
	for (unsigned tries = 0; tries < 8; tries++) {
		struct entry *entry = &ring[atomic_fetch_add(&next_entry, 1) % ENTRIES];
		uint32_t seq = atomic_load_explicit(&entry->seq, memory_order_relaxed);

		if ((seq & 1) || !atomic_compare_exchange_strong(&entry->seq, &seq, seq + 1))
			continue;
		entry->addr = *addr;
		entry->addr.port = 0;
		entry->thread = &lookups;
		entry->weak = weak;
		atomic_store_explicit(&entry->lookup, lookups, memory_order_relaxed);
		memcpy(entry->name, name, QS_NAME_MAX);
		atomic_store_explicit(&entry->seq, seq + 2, memory_order_release);
		return;
	}
}

/* In lower case and without a last dot. False if it is an address or no host name. */
static bool tidy(const char *name, char out[QS_NAME_MAX])
{
	struct in_addr v4;
	size_t len = 0;

	if (!name)
		return false;
	memset(out, 0, QS_NAME_MAX);
	for (; name[len]; len++) {
		if (len == QS_NAME_MAX - 1 || name[len] == ':' || name[len] == '%')
			return false;
		out[len] =
			name[len] >= 'A' && name[len] <= 'Z' ? (char)(name[len] + 32) : name[len];
	}
	if (len && out[len - 1] == '.')
		out[--len] = '\0';
	return len > 0 && !inet_aton(out, &v4);
}

/* This host's name, or the first part of it, or that with a domain. */
static bool is_own(const char *name)
{
	struct utsname uts;
	char own[QS_NAME_MAX];
	size_t len;

	if (!qs_may_ask() || qs_raw(SYS_uname, &uts, 0, 0, 0) < 0 || !tidy(uts.nodename, own))
		return false;
	len = strcspn(own, ".");
	return !strcmp(name, own) ||
	       (!strncmp(name, own, len) && (own[len] ? !name[len] : name[len] == '.'));
}

/* A look-up of this thread begins. False if its name is not to be remembered. */
static bool wanted(const char *name, char tidied[QS_NAME_MAX])
{
	if (!qs_watching() || !qs_state.has_connect || !name)
		return false;
	lookups++;
	return tidy(name, tidied);
}

static void remember_infos(const char *name, const struct addrinfo *infos, bool weak)
{
	for (const struct addrinfo *i = infos; i; i = i->ai_next) {
		struct qs_addr addr;

		if (qs_addr_from_sockaddr(&addr, i->ai_addr, i->ai_addrlen) < 0)
			continue;
		unmap(&addr);
		/* One address comes once a socket type. */
		if (i == infos || i->ai_socktype == infos->ai_socktype)
			remember(name, &addr, weak);
	}
}

static void remember_host(const char *name, const struct hostent *host)
{
	char tidied[QS_NAME_MAX];
	size_t size;
	bool weak;

	if (!host || !host->h_addr_list || !wanted(name, tidied))
		return;
	size = host->h_addrtype == AF_INET ? 4 : 16;
	if (host->h_length != (int)size)
		return;
	weak = is_own(tidied);
	for (char **list = host->h_addr_list; *list; list++) {
		struct qs_addr addr = {.family = (uint16_t)host->h_addrtype};

		memcpy(addr.ip, *list, size);
		unmap(&addr);
		remember(tidied, &addr, weak);
	}
}

QS_EXPORT int getaddrinfo(const char *restrict node, const char *restrict service,
			  const struct addrinfo *restrict hints, struct addrinfo **restrict out)
{
	int rc = qs_real.getaddrinfo(node, service, hints, out);
	char tidied[QS_NAME_MAX];

	if (rc == 0 && wanted(node, tidied))
		remember_infos(tidied, *out,
			       (hints && (hints->ai_flags & AI_PASSIVE)) || is_own(tidied));
	return rc;
}

QS_EXPORT struct hostent *gethostbyname(const char *name)
{
	struct hostent *host = qs_real.gethostbyname(name);

	remember_host(name, host);
	return host;
}

QS_EXPORT struct hostent *gethostbyname2(const char *name, int family)
{
	struct hostent *host = qs_real.gethostbyname2(name, family);

	remember_host(name, host);
	return host;
}

QS_EXPORT int gethostbyname_r(const char *restrict name, struct hostent *restrict ret,
			      char *restrict buf, size_t len, struct hostent **restrict out,
			      int *restrict error)
{
	int rc = qs_real.gethostbyname_r(name, ret, buf, len, out, error);

	if (rc == 0)
		remember_host(name, *out);
	return rc;
}

QS_EXPORT int gethostbyname2_r(const char *restrict name, int family, struct hostent *restrict ret,
			       char *restrict buf, size_t len, struct hostent **restrict out,
			       int *restrict error)
{
	int rc = qs_real.gethostbyname2_r(name, family, ret, buf, len, out, error);

	if (rc == 0)
		remember_host(name, *out);
	return rc;
}
