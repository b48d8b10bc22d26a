/* SPDX-License-Identifier: MIT */
/* accept, accept4: the kernel's own on the AF_UNIX listener; then the new descriptor is marked, or
 * exchanged for the TCP one that it brings. */
#include "address.h"
#include "ask.h"
#include "option.h"
#include "pages.h"
#include "raw.h"
#include "real.h"
#include "sock.h"
#include "state.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/un.h>

/*
 * Theory. The engine connects to the app's listener from an end that is named with a record. A name
 * is no proof, anybody may connect to a name in /proc/net/unix: the peer must be the engine itself,
 * its user, root, or this process's user. A stranger is closed, and accept() goes on as if he had not come:
 * it waits again, or says EAGAIN. Listeners that are not mapped cost nothing but a copy of the
 * address, and only in a process that has mapped sockets.
 * In mode prefer a plain TCP connection comes in an envelope (control.h). The TCP descriptor takes
 * the number of the envelope's, with the flags that were asked for, and is the kernel's from there
 * on. Taking it out needs a second free number for a moment: where there is none accept() says
 * EMFILE, nothing stays open, and the envelope goes back to the engine, which delivers it again.
 */

#define ENVELOPE_WAIT_S 5 /* the engine fills it right after it has connected */

static bool look_at_peer(int fd, struct ucred *peer)
{
	socklen_t len = sizeof(*peer);

	return qs_sys_getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &len) == 0;
}

/* A listener's credentials are those of who called listen(): the engine, which may be another user by now. */
static bool is_trusted(int listener, int fd)
{
	struct ucred peer, owner;

	if (!look_at_peer(fd, &peer))
		return false;
	return peer.uid == 0 || peer.uid == (uid_t)qs_raw(SYS_geteuid, 0, 0, 0, 0) ||
	       (look_at_peer(listener, &owner) &&
		(peer.uid == owner.uid || (peer.pid > 0 && peer.pid == owner.pid)));
}

/* Waits for one more octet of the envelope. */
static bool read_octet(int fd, struct msghdr *msg, int flags)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct timespec limit = {.tv_sec = ENVELOPE_WAIT_S};

	while (qs_raw6(SYS_ppoll, (long)&p, 1, (long)&limit, 0, 8, 0) == -EINTR)
		;
	return qs_sys_recvmsg(fd, msg, MSG_DONTWAIT | flags) == 1;
}

/*
 * The TCP descriptor in an envelope, which the engine has none of any more; -EMFILE where it had no
 * room and the envelope went back, -ECONNABORTED if none comes.
 */
static int open_envelope(int fd, int flags)
{
	static const struct linger off;
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char octet;
	struct iovec iov = {.iov_base = &octet, .iov_len = 1};
	struct msghdr look = {.msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control)};
	struct msghdr take = {.msg_iov = &iov, .msg_iovlen = 1};
	int tcp;

	if (!read_octet(fd, &look, MSG_PEEK | (flags & SOCK_CLOEXEC ? MSG_CMSG_CLOEXEC : 0)))
		return -ECONNABORTED;
	if (control.header.cmsg_len != CMSG_LEN(sizeof(int))) {
		if (!(look.msg_flags & MSG_CTRUNC))
			return -ECONNABORTED;
		qs_ask_send(fd, "", 1, &fd, 1, MSG_DONTWAIT);
		return -EMFILE;
	}
	memcpy(&tcp, CMSG_DATA(&control.header), sizeof(tcp));
	if (qs_sock_tcp_state(tcp) < 0 || !read_octet(fd, &take, 0))
		goto aborted;
	if (octet == QS_ENVELOPE_LINGER)
		qs_sys_setsockopt(tcp, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
	if (read_octet(fd, &take, 0))
		return tcp;
aborted:
	qs_sys_close(tcp);
	return -ECONNABORTED;
}

/* Puts the TCP descriptor that an envelope brings in its place. 0 or -errno. */
static int exchange(int listener, int fd, int flags)
{
	int tcp = open_envelope(fd, flags);

	if (tcp < 0)
		return tcp;
	qs_option_inherit(listener, tcp, true);
	if (flags & SOCK_NONBLOCK)
		qs_sys_fcntl(tcp, F_SETFL, O_NONBLOCK);
	qs_sys_dup3(tcp, fd, flags & SOCK_CLOEXEC ? O_CLOEXEC : 0);
	qs_sys_close(tcp);
	return 0;
}

/*
 * Tells the engine of it. Where a sibling could take the client, the engine holds back what that sends until it knows
 * (hold.c of the engine), so it must be woken: by an octet that a descriptor tells from the app's own. A fresh
 * descriptor, since the app's epoll registrations live for as long as anybody has theirs.
 */
static void tell(int fd, const struct qs_mark *mark)
{
	struct qs_options *options = qs_pages_options(mark);
	struct qs_slot_view slot;
	int tag;

	if (options)
		options->accepted = 1;
	if (!options || !qs_may_look() || !qs_pages_slot(mark, &slot) || !slot.held)
		return;
	tag = (int)qs_raw(SYS_eventfd2, 0, EFD_CLOEXEC, 0, 0);
	if (tag < 0)
		return;
	qs_ask_send(fd, "", 1, &tag, 1, MSG_DONTWAIT);
	qs_sys_close(tag);
}

/* The new descriptor becomes a mapped one, or a TCP one. -ECONNABORTED if the peer is no engine,
 * -EMFILE. */
static int adopt(int listener, const struct qs_mark *listener_mark, int fd, int flags,
		 const struct sockaddr_un *name, socklen_t len, struct qs_record *record)
{
	struct qs_mark mark = {.state = QS_MARK_OPEN, .error = QS_TOLD_OPEN};
	int octets = QS_SNDBUF;

	if (qs_record_decode(name, len, record) < 0 || !is_trusted(listener, fd))
		return -ECONNABORTED;
	if (qs_record_is_envelope(record))
		return exchange(listener, fd, flags);
	mark.slot = record->slot;
	mark.generation = record->generation;
	mark.v6 = listener_mark->v6;
	qs_sock_set_mark(fd, &mark);
	qs_sys_setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &octets, sizeof(octets));
	qs_option_inherit(listener, fd, true);
	tell(fd, &mark);
	return 0;
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
		int got, rc;

		got = qs_real.accept4(fd, (struct sockaddr *)&peer.any, &len, flags);
		if (got < 0)
			return got;
		if (len < sizeof(sa_family_t) || peer.any.ss_family != AF_UNIX ||
		    !qs_sock_mark(fd, &mark) || mark.state != QS_MARK_LISTENER) {
			qs_address_give(&peer.any, len, addr, addr_len);
			return got;
		}
		rc = adopt(fd, &mark, got, flags, &peer.name, len, &record);
		if (rc == 0) {
			len = qs_addr_to_sockaddr(&record.peer, mark.v6 ? AF_INET6 : AF_INET,
						  &peer.any);
			qs_address_give(&peer.any, len, addr, addr_len);
			return got;
		}
		qs_sys_close(got);
		if (rc == -EMFILE) {
			errno = EMFILE;
			return -1;
		}
	}
}

/* After a filter that ends the program at every look: the name of the peer tells all that is needed. */
static int accept_blind(int fd, struct sockaddr *addr, socklen_t *addr_len, int flags)
{
	union {
		struct sockaddr_storage any;
		struct sockaddr_un name;
	} peer;
	struct qs_record record;

	for (;;) {
		socklen_t len = sizeof(peer);
		int got = qs_real.accept4(fd, (struct sockaddr *)&peer.any, &len, flags);

		if (got < 0)
			return got;
		if (qs_record_decode(&peer.name, len, &record) == 0) {
			/* Opening it takes calls that may end the program: the client gets a reset. */
			if (qs_record_is_envelope(&record)) {
				qs_sys_close(got);
				continue;
			}
			len = qs_addr_to_sockaddr(&record.peer, record.local.family, &peer.any);
		}
		qs_address_give(&peer.any, len, addr, addr_len);
		return got;
	}
}

static int accept_now(int fd, struct sockaddr *addr, socklen_t *addr_len, int flags)
{
	if (atomic_load_explicit(&qs_state.blind, memory_order_relaxed))
		return accept_blind(fd, addr, addr_len, flags);
	return accept_any(fd, addr, addr_len, flags);
}

/* Nothing of ours can come, or the arguments are an error. */
static bool is_plain(const struct sockaddr *addr, const socklen_t *addr_len)
{
	return !atomic_load_explicit(&qs_state.active, memory_order_relaxed) ||
	       qs_state_is_engine || (addr && (!addr_len || (int)*addr_len < 0));
}

QS_EXPORT int accept4(int fd, struct sockaddr *addr, socklen_t *addr_len, int flags)
{
	if (is_plain(addr, addr_len))
		return qs_real.accept4(fd, addr, addr_len, flags);
	return accept_now(fd, addr, addr_len, flags);
}

QS_EXPORT int accept(int fd, struct sockaddr *addr, socklen_t *addr_len)
{
	if (is_plain(addr, addr_len))
		return qs_real.accept(fd, addr, addr_len);
	return accept_now(fd, addr, addr_len, 0);
}
