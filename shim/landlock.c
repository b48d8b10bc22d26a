/* SPDX-License-Identifier: MIT */
/* Landlock's rules for TCP, which the kernel would ask at a connect() of the app's own. */
#include "landlock.h"

#include "raw.h"
#include "state.h"

#include <stdatomic.h>

/*
 * Theory. A mapped connect() is one to an AF_UNIX socket, about which a Landlock domain has other rules or none, and
 * what the engine does is not the domain's. What the domain allows can't be read, so the kernel is asked: it looks
 * at the rules before the state of the socket, and one that listens can't connect. EISCONN therefore means that
 * connect() was allowed, and no packet is sent. A domain is a thread's, and the calling thread is the one that asks.
 * A domain that came by exec is not seen: each connect would cost the question. At fork the flag is inherited as the
 * domain is.
 */

static atomic_bool restricted;

void qs_landlock_note(void)
{
	atomic_store_explicit(&restricted, true, memory_order_relaxed);
}

int qs_landlock_ask(const struct sockaddr *addr, socklen_t len)
{
	int sock, rc;

	if (!atomic_load_explicit(&restricted, memory_order_relaxed))
		return 0;
	if (atomic_load_explicit(&qs_state.no_probe, memory_order_relaxed))
		return -EACCES;
	sock = qs_sys_socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return sock == -EMFILE || sock == -ENFILE ? -ENOBUFS : sock;
	rc = qs_sys_listen(sock, 0);
	if (rc == 0)
		rc = qs_sys_connect(sock, addr, len);
	else
		rc = -EACCES;
	qs_sys_close(sock);
	return rc == -EISCONN ? 0 : rc == 0 ? -EACCES : rc;
}
