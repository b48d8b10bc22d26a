/* SPDX-License-Identifier: MIT */
/* What listens at a UDP address: protocol, server name, address, and whom a first flight is for. */
#include "serve.h"

#include <string.h>

#define FIT_ADDRESS 4096u /* more than any name */
#define FIT_EXACT 1024u /* more than any wildcard */

bool qs_addr_is_any(const struct qs_addr *addr)
{
	static const uint8_t zero[16];

	return memcmp(addr->ip, zero, sizeof(zero)) == 0;
}

/* Of link-local addresses: one may be there once on each interface. 0 = not said. */
static bool scopes_agree(const struct qs_addr *a, const struct qs_addr *b)
{
	return a->scope_id == b->scope_id || a->scope_id == 0 || b->scope_id == 0;
}

bool qs_addr_equal(const struct qs_addr *a, const struct qs_addr *b)
{
	return a->family == b->family && a->port == b->port &&
	       memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 && scopes_agree(a, b);
}

bool qs_addr_overlap(const struct qs_addr *a, const struct qs_addr *b)
{
	return a->family == b->family && a->port == b->port &&
	       (qs_addr_is_any(a) || qs_addr_is_any(b) || qs_addr_equal(a, b));
}

static bool is_inet(const struct qs_addr *addr)
{
	return addr->family == AF_INET || addr->family == AF_INET6;
}

bool qs_serve_valid(const struct qs_serve *serve)
{
	return is_inet(&serve->endpoint) && is_inet(&serve->tcp) && serve->alpn[0] != '\0' &&
	       memchr(serve->alpn, '\0', sizeof(serve->alpn)) != NULL &&
	       memchr(serve->name, '\0', sizeof(serve->name)) != NULL &&
	       memchr(serve->program, '\0', sizeof(serve->program)) != NULL;
}

/* 0 no, else more for what says more. */
static unsigned name_fit(const char *pattern, const char *name)
{
	size_t len, have = strlen(name);

	if (pattern[0] == '\0')
		return 1;
	if (pattern[0] != '*')
		return strcmp(pattern, name) == 0 ? FIT_EXACT : 0;
	pattern++; /* leaves ".example.com" */
	len = strlen(pattern);
	if (len < 2 || have <= len || strcmp(name + have - len, pattern) != 0)
		return 0;
	return 1 + (unsigned)len;
}

bool qs_serve_covers(const struct qs_serve *serve, const struct qs_addr *local)
{
	return serve->endpoint.family == local->family && serve->endpoint.port == local->port &&
	       (qs_addr_is_any(&serve->endpoint) ||
		(memcmp(serve->endpoint.ip, local->ip, sizeof(local->ip)) == 0 &&
		 scopes_agree(&serve->endpoint, local)));
}

unsigned qs_serve_fit(const struct qs_serve *serve, const struct qs_addr *local, const char *name)
{
	unsigned fit = name_fit(serve->name, name);

	if (fit == 0 || !qs_serve_covers(serve, local))
		return 0;
	return qs_addr_is_any(&serve->endpoint) ? fit : fit + FIT_ADDRESS;
}

bool qs_serve_clash(const struct qs_serve *a, const struct qs_serve *b)
{
	if (!qs_addr_equal(&a->endpoint, &b->endpoint) || strcmp(a->alpn, b->alpn) != 0 ||
	    strcmp(a->name, b->name) != 0)
		return false;
	if (a->cookie != 0 && a->cookie == b->cookie)
		return false;
	return !(a->reuseport && b->reuseport && qs_addr_equal(&a->tcp, &b->tcp));
}
