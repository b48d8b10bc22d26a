/* SPDX-License-Identifier: MIT */
/* getsockname, getpeername: the addresses that TCP would have shown. */
#include "address.h"

#include "pages.h"
#include "raw.h"
#include "real.h"
#include "sock.h"
#include "state.h"

#include <string.h>
#include <sys/un.h>

/*
 * Theory. An accepted descriptor's peer, the engine's end, is named with a record that says both
 * addresses: that name stays with the descriptor in any process, and after the engine has gone. The
 * addresses of a connected one stand in its slot. The real call is made first, so all its errors
 * are the kernel's.
 */

void qs_address_give(const struct sockaddr_storage *addr, socklen_t len, struct sockaddr *out,
		     socklen_t *out_len)
{
	if (!out || !out_len)
		return;
	memcpy(out, addr, *out_len < len ? *out_len : len);
	*out_len = len;
}

/* Both addresses of a mapped descriptor. False if nobody can tell. */
static bool find_addresses(int fd, const struct qs_mark *mark, struct qs_addr *local,
			   struct qs_addr *peer)
{
	struct sockaddr_un name;
	socklen_t len = sizeof(name);
	struct qs_record record;
	struct qs_slot_view slot;

	if (mark->state == QS_MARK_OPEN && qs_sys_getpeername(fd, &name, &len) == 0 &&
	    qs_record_decode(&name, len, &record) == 0) {
		*local = record.local;
		*peer = record.peer;
		return true;
	}
	if (!qs_pages_slot(mark, &slot))
		return false;
	*local = slot.local;
	*peer = slot.peer;
	return true;
}

/* What the app bound before a connect() that goes on or has failed. */
static bool find_bound(const struct qs_mark *mark, struct qs_addr *local)
{
	const struct qs_options *options =
		mark->state == QS_MARK_CONNECTING || mark->state == QS_MARK_FAILED
			? qs_pages_options(mark)
			: NULL;

	if (!options || !qs_sock_is_bound(&options->bound))
		return false;
	*local = options->bound;
	return true;
}

/* TCP knows no peer any more after a reset, or when both sides have closed. */
static bool is_over(const struct qs_mark *mark)
{
	struct qs_slot_view slot;

	return mark->error == QS_TOLD_END ||
	       (qs_pages_slot(mark, &slot) && slot.state == QS_SLOT_ENDED);
}

static bool is_ours(int fd, const struct sockaddr_storage *real, socklen_t len,
		    struct qs_mark *mark)
{
	return len >= sizeof(sa_family_t) && real->ss_family == AF_UNIX && qs_sock_mark(fd, mark);
}

static bool is_plain(const struct sockaddr *addr, const socklen_t *len)
{
	return !qs_active() || !addr || !len || (int)*len < 0;
}

QS_EXPORT int getpeername(int fd, struct sockaddr *addr, socklen_t *addr_len)
{
	struct sockaddr_storage real;
	struct qs_addr local, peer;
	struct qs_mark mark;
	socklen_t len = sizeof(real);

	if (is_plain(addr, addr_len))
		return qs_real.getpeername(fd, addr, addr_len);
	if (qs_real.getpeername(fd, (struct sockaddr *)&real, &len) < 0)
		return -1;
	if (is_ours(fd, &real, len, &mark)) {
		len = 0;
		if (mark.state == QS_MARK_OPEN && find_addresses(fd, &mark, &local, &peer) &&
		    !is_over(&mark))
			len = qs_addr_to_sockaddr(&peer, mark.v6 ? AF_INET6 : AF_INET, &real);
		if (!len) {
			errno = ENOTCONN;
			return -1;
		}
	}
	qs_address_give(&real, len, addr, addr_len);
	return 0;
}

QS_EXPORT int getsockname(int fd, struct sockaddr *addr, socklen_t *addr_len)
{
	struct sockaddr_storage real;
	struct qs_addr local, peer;
	struct qs_mark mark;
	socklen_t len = sizeof(real);

	if (is_plain(addr, addr_len))
		return qs_real.getsockname(fd, addr, addr_len);
	if (qs_real.getsockname(fd, (struct sockaddr *)&real, &len) < 0)
		return -1;
	if (is_ours(fd, &real, len, &mark)) {
		int family = mark.v6 ? AF_INET6 : AF_INET;
		struct qs_addr none = {.family = (uint16_t)family};

		len = 0;
		if (find_bound(&mark, &local) || find_addresses(fd, &mark, &local, &peer))
			len = qs_addr_to_sockaddr(&local, family, &real);
		if (!len)
			len = qs_addr_to_sockaddr(&none, family, &real);
	}
	qs_address_give(&real, len, addr, addr_len);
	return 0;
}
