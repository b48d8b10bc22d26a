/* SPDX-License-Identifier: MIT */
/* Marks, socket states, and one socket put in the place of another. */
#include "sock.h"

#include "epoll.h"
#include "option.h"
#include "pages.h"
#include "raw.h"
#include "state.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif
#define NUMBERS 4096 /* descriptors that are remembered */

static _Atomic uint64_t mapped[NUMBERS / 64];

bool qs_sock_was_mapped(int fd)
{
	return fd >= 0 && fd < NUMBERS &&
	       (atomic_load_explicit(&mapped[fd / 64], memory_order_relaxed) >> fd % 64 & 1);
}

void qs_sock_forget(int fd)
{
	if (fd >= 0 && fd < NUMBERS)
		atomic_fetch_and_explicit(&mapped[fd / 64], ~(UINT64_C(1) << fd % 64),
					  memory_order_relaxed);
}

static void remember(int fd)
{
	if (fd >= 0 && fd < NUMBERS && !qs_sock_was_mapped(fd))
		atomic_fetch_or_explicit(&mapped[fd / 64], UINT64_C(1) << fd % 64,
					 memory_order_relaxed);
}

static _Atomic uint64_t chosen_port[NUMBERS / 64];

void qs_sock_note_bind(int fd, bool chosen)
{
	uint64_t bit = UINT64_C(1) << (fd & 63);

	if (fd < 0 || fd >= NUMBERS)
		return;
	if (chosen)
		atomic_fetch_or_explicit(&chosen_port[fd / 64], bit, memory_order_relaxed);
	else
		atomic_fetch_and_explicit(&chosen_port[fd / 64], ~bit, memory_order_relaxed);
}

static bool has_chosen_port(int fd)
{
	return fd >= 0 && fd < NUMBERS &&
	       (atomic_load_explicit(&chosen_port[fd / 64], memory_order_relaxed) >> fd % 64 & 1);
}

/* Ports of AF_INET6 listeners from which io_uring accepts: a bit each. */
static _Atomic uint64_t expected_v6[65536 / 64];

void qs_sock_expect(const struct qs_mark *listener)
{
	struct qs_slot_view slot;

	if (listener->v6 && qs_pages_slot(listener, &slot))
		atomic_fetch_or_explicit(&expected_v6[slot.local.port / 64],
					 UINT64_C(1) << slot.local.port % 64, memory_order_relaxed);
}

/*
 * A descriptor that io_uring accepted has no mark: its peer's name is the engine's record. Nobody else can connect to
 * a mapped listener (engine/listen.c); that the peer is root, or our user, makes sure of it.
 */
static bool adopt(int fd, struct qs_mark *out)
{
	struct sockaddr_un name;
	socklen_t len = sizeof(name), cred_len = sizeof(struct ucred);
	struct qs_record record;
	struct ucred cred;

	if (qs_sys_getpeername(fd, &name, &len) < 0 || qs_record_decode(&name, len, &record) < 0 ||
	    qs_sys_getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &cred_len) < 0 ||
	    (cred.uid != 0 && cred.uid != (uid_t)qs_raw(SYS_geteuid, 0, 0, 0, 0)))
		return false;
	*out = (struct qs_mark){.state = QS_MARK_OPEN,
				.error = QS_TOLD_OPEN,
				.slot = record.slot,
				.generation = record.generation};
	out->v6 =
		record.local.family == AF_INET6 ||
		(atomic_load_explicit(&expected_v6[record.local.port / 64], memory_order_relaxed) >>
			 record.local.port % 64 &
		 1);
	qs_sock_set_mark(fd, out);
	return true;
}

bool qs_sock_mark(int fd, struct qs_mark *out)
{
	uint64_t value = 0;
	socklen_t len = sizeof(value);

	if (qs_sys_getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &value, &len) < 0 ||
	    len != sizeof(value))
		return false;
	if (!qs_mark_decode(value, out) &&
	    !(atomic_load_explicit(&qs_state.rings, memory_order_relaxed) && adopt(fd, out)))
		return false;
	remember(fd);
	return true;
}

void qs_sock_set_mark(int fd, const struct qs_mark *mark)
{
	uint64_t value = qs_mark_encode(mark);

	remember(fd);
	qs_sys_setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &value, sizeof(value));
}

void qs_sock_clear_error(int fd)
{
	int error;
	socklen_t len = sizeof(error);

	qs_sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
}

int qs_sock_tcp_state(int fd)
{
	uint8_t state = 0;
	socklen_t len = sizeof(state);
	int rc = qs_sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &len);

	return rc < 0 ? rc : state;
}

bool qs_sock_is_no_tcp(int error)
{
	return error == -EBADF || error == -ENOTSOCK || error == -EOPNOTSUPP ||
	       error == -ENOPROTOOPT || error == -EINVAL;
}

bool qs_sock_is_bound(const struct qs_addr *addr)
{
	static const uint8_t none[16];

	return addr->port ||
	       memcmp(addr->ip, none, addr->family == AF_INET ? 4 : sizeof(addr->ip)) != 0;
}

uint64_t qs_sock_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return qs_sys_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) < 0 ? 0 : cookie;
}

/* 0 if the descriptor is the socket that it was. */
static int is_other(int fd, uint64_t cookie)
{
	uint64_t now = 0;
	socklen_t len = sizeof(now);
	int rc = qs_sys_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &now, &len);

	if (rc == -EBADF || rc == -ENOTSOCK)
		return rc;
	return rc == 0 && cookie && now != cookie ? -ECONNABORTED : 0;
}

/* Between the look at the cookie and dup3() nothing but these calls: what is left of the race is in quicshim(7). */
int qs_sock_replace(int fd, int fresh, uint64_t cookie)
{
	struct qs_epoll_saved saved;
	int flags = qs_sys_fcntl(fd, F_GETFD, 0), status = qs_sys_fcntl(fd, F_GETFL, 0);
	int rc = is_other(fd, cookie);

	if (rc == 0) {
		remember(fd);
		qs_epoll_take(fd, &saved);
		rc = qs_sys_dup3(fresh, fd, flags >= 0 && (flags & FD_CLOEXEC) ? O_CLOEXEC : 0);
		if (rc >= 0)
			qs_option_start_signals(fd, status);
		qs_epoll_give(fd, &saved);
	}
	qs_sys_close(fresh);
	return rc < 0 ? rc : 0;
}

/* TCP keeps the address that the app bound when a connection fails or is dissolved, and the port if the app named it. */
static void bind_again(int fd, struct qs_addr bound, bool v6, bool chosen)
{
	int without_port = 0, on = 1;
	struct sockaddr_storage addr;
	socklen_t len = 0;

	if (chosen)
		bound.port = 0;
	if (qs_sock_is_bound(&bound))
		len = qs_addr_to_sockaddr(&bound, v6 ? AF_INET6 : AF_INET, &addr);
	if (len == 0)
		return;
	if (chosen) {
		socklen_t size = sizeof(without_port);

		qs_sys_getsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &without_port, &size);
		qs_sys_setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	}
	qs_sys_bind(fd, &addr, len);
	if (chosen)
		qs_sys_setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &without_port,
				  sizeof(without_port));
}

bool qs_sock_unconnect(int fd)
{
	struct qs_mark mark;

	return qs_sock_mark(fd, &mark) && mark.state == QS_MARK_FAILED &&
	       mark.error == QS_TOLD_OPEN && qs_sock_renew(fd, &mark) == 0;
}

int qs_sock_renew(int fd, const struct qs_mark *mark)
{
	uint64_t cookie = qs_sock_cookie(fd);
	const struct qs_options *options = qs_pages_options(mark);
	int flags = qs_sys_fcntl(fd, F_GETFL, 0);
	int fresh = qs_sys_socket(mark->v6 ? AF_INET6 : AF_INET,
				  SOCK_STREAM | SOCK_CLOEXEC |
					  (flags >= 0 && (flags & O_NONBLOCK) ? SOCK_NONBLOCK : 0),
				  IPPROTO_TCP);

	if (fresh < 0)
		return fresh;
	qs_option_copy(fd, fresh, true);
	if (options) {
		qs_option_spread(fresh, options, mark->v6);
		bind_again(fresh, options->bound, mark->v6, has_chosen_port(fd));
	}
	return qs_sock_replace(fd, fresh, cookie);
}
