/* SPDX-License-Identifier: MIT */
/* getaddrinfo and its elders: remembers names, so that rules and certificates can be matched by
 * them. */
#include "names.h"

#include "real.h"
#include "state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

/*
 * Theory. A ring of the last ENTRIES (name, address) pairs. An entry has a sequence number that is
 * odd while it is written; a writer that meets an odd one (a writer in another thread, or one that
 * was there when this process was forked) takes the next. Readers copy and compare the number
 * again. No lock, no memory is allocated, and nothing is written unless the policy cares for names.
 */

#define ENTRIES 512u

struct entry {
	_Atomic uint32_t seq;
	struct qs_addr addr;
	char name[QS_NAME_MAX];
};

static struct entry ring[ENTRIES];
static atomic_uint next_entry;

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

static bool read_entry(struct entry *entry, const struct qs_addr *addr, char out[QS_NAME_MAX])
{
	uint32_t seq = atomic_load_explicit(&entry->seq, memory_order_acquire);

	if (!seq || (seq & 1) || !same(&entry->addr, addr))
		return false;
	memcpy(out, entry->name, QS_NAME_MAX);
	atomic_thread_fence(memory_order_acquire);
	out[QS_NAME_MAX - 1] = '\0';
	return atomic_load_explicit(&entry->seq, memory_order_relaxed) == seq;
}

unsigned qs_names_lookup(const struct qs_addr *addr, char out[QS_NAMES_MAX][QS_NAME_MAX])
{
	unsigned newest = atomic_load_explicit(&next_entry, memory_order_acquire), n = 0;
	struct qs_addr wanted = *addr;

	unmap(&wanted);
	for (unsigned i = 0; i < ENTRIES && i < newest && n < QS_NAMES_MAX; i++) {
		bool again = false;

		if (!read_entry(&ring[(newest - 1 - i) % ENTRIES], &wanted, out[n]))
			continue;
		for (unsigned k = 0; k < n && !again; k++)
			again = !strcmp(out[k], out[n]);
		n += !again;
	}
	return n;
}

static bool is_known(const char *name, const struct qs_addr *addr)
{
	char names[QS_NAMES_MAX][QS_NAME_MAX];
	unsigned n = qs_names_lookup(addr, names);

	while (n > 0)
		if (!strcmp(names[--n], name))
			return true;
	return false;
}

static void remember(const char *name, const struct qs_addr *addr)
{
	if (is_known(name, addr))
		return;
	for (unsigned tries = 0; tries < 8; tries++) {
		struct entry *entry = &ring[atomic_fetch_add(&next_entry, 1) % ENTRIES];
		uint32_t seq = atomic_load_explicit(&entry->seq, memory_order_relaxed);

		if ((seq & 1) || !atomic_compare_exchange_strong(&entry->seq, &seq, seq + 1))
			continue;
		entry->addr = *addr;
		entry->addr.port = 0;
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

static bool wanted(const char *name, char tidied[QS_NAME_MAX])
{
	return qs_watching() && qs_state.has_connect && tidy(name, tidied);
}

static void remember_infos(const char *name, const struct addrinfo *infos)
{
	for (const struct addrinfo *i = infos; i; i = i->ai_next) {
		struct qs_addr addr;

		if (qs_addr_from_sockaddr(&addr, i->ai_addr, i->ai_addrlen) < 0)
			continue;
		unmap(&addr);
		/* One address comes once a socket type. */
		if (i == infos || i->ai_socktype == infos->ai_socktype)
			remember(name, &addr);
	}
}

static void remember_host(const char *name, const struct hostent *host)
{
	char tidied[QS_NAME_MAX];
	size_t size;

	if (!host || !host->h_addr_list || !wanted(name, tidied))
		return;
	size = host->h_addrtype == AF_INET ? 4 : 16;
	if (host->h_length != (int)size)
		return;
	for (char **list = host->h_addr_list; *list; list++) {
		struct qs_addr addr = {.family = (uint16_t)host->h_addrtype};

		memcpy(addr.ip, *list, size);
		unmap(&addr);
		remember(tidied, &addr);
	}
}

QS_EXPORT int getaddrinfo(const char *restrict node, const char *restrict service,
			  const struct addrinfo *restrict hints, struct addrinfo **restrict out)
{
	int rc = qs_real.getaddrinfo(node, service, hints, out);
	char tidied[QS_NAME_MAX];

	if (rc == 0 && wanted(node, tidied))
		remember_infos(tidied, *out);
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
