/* SPDX-License-Identifier: MIT */
/* accept, accept4: the kernel's own on the AF_UNIX listener; then the new descriptor is marked. */
#include "address.h"
#include "option.h"
#include "raw.h"
#include "real.h"
#include "sock.h"
#include "state.h"

#include <string.h>
#include <sys/un.h>

/*
 * Theory. The engine connects to the app's listener from an end that is named with a record. A name
 * is no proof, anybody may connect to a name in /proc/net/unix: the peer must be the engine's user,
 * root, or this process's user. A stranger is closed, and accept() goes on as if he had not come:
 * it waits again, or says EAGAIN. Listeners that are not mapped cost nothing but a copy of the
 * address, and only in a process that has mapped sockets.
 */

static bool uid_of_peer(int fd, uid_t *uid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (qs_sys_getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	*uid = peer.uid;
	return true;
}

static bool is_trusted(int listener, int fd)
{
	uid_t peer, owner;

	if (!uid_of_peer(fd, &peer))
		return false;
	return peer == 0 || peer == (uid_t)qs_raw(SYS_geteuid, 0, 0, 0, 0) ||
	       (uid_of_peer(listener, &owner) && peer == owner);
}

/* The new descriptor becomes a mapped one. False if the peer is no engine. */
static bool adopt(int listener, const struct qs_mark *listener_mark, int fd,
		  const struct sockaddr_un *name, socklen_t len, struct qs_record *record)
{
	struct qs_mark mark = {.state = QS_MARK_OPEN, .error = QS_TOLD_OPEN};

	if (qs_record_decode(name, len, record) < 0 || !is_trusted(listener, fd))
		return false;
	mark.slot = record->slot;
	mark.generation = record->generation;
	mark.v6 = listener_mark->v6;
	qs_sock_set_mark(fd, &mark);
	qs_option_copy(listener, fd, true);
	return true;
}

static int accept_any(int fd, struct sockaddr *addr, socklen_t *addr_len, int flags)
{
	for (;;) {
		union {
			struct sockaddr_storage any;
			struct sockaddr_un name;
		} peer;
		struct qs_record record;
		struct qs_mark mark;
		socklen_t len = sizeof(peer);
		int got;

		got = qs_real.accept4(fd, (struct sockaddr *)&peer.any, &len, flags);
		if (got < 0)
			return got;
		if (len < sizeof(sa_family_t) || peer.any.ss_family != AF_UNIX ||
		    !qs_sock_mark(fd, &mark) || mark.state != QS_MARK_LISTENER) {
			qs_address_give(&peer.any, len, addr, addr_len);
			return got;
		}
		if (adopt(fd, &mark, got, &peer.name, len, &record)) {
			len = qs_addr_to_sockaddr(&record.peer, mark.v6 ? AF_INET6 : AF_INET,
						  &peer.any);
			qs_address_give(&peer.any, len, addr, addr_len);
			return got;
		}
		qs_sys_close(got);
	}
}

QS_EXPORT int accept4(int fd, struct sockaddr *addr, socklen_t *addr_len, int flags)
{
	if (!qs_active() || (addr && (!addr_len || (int)*addr_len < 0)))
		return qs_real.accept4(fd, addr, addr_len, flags);
	return accept_any(fd, addr, addr_len, flags);
}

QS_EXPORT int accept(int fd, struct sockaddr *addr, socklen_t *addr_len)
{
	if (!qs_active() || (addr && (!addr_len || (int)*addr_len < 0)))
		return qs_real.accept(fd, addr, addr_len);
	return accept_any(fd, addr, addr_len, 0);
}
