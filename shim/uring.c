/* SPDX-License-Identifier: MIT */
/* What becomes of a request of io_uring that would connect, listen or accept past the shim. */
#include "uring.h"

#include "ask.h"
#include "connect.h"
#include "raw.h"
#include "sock.h"
#include "state.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

/*
 * Theory. Reading, writing and polling a mapped socket by io_uring is the kernel's own. But a ring
 * also connects and listens, and that never passes libc: in the clear, where the policy says quic.
 * So each request is looked at before it is submitted (uring_enter.c and uring_ring.c say how it is got hold of).
 *
 * connect, listen, and send with MSG_FASTOPEN: made here as the function would, waiting for the
 * handshake, and the request becomes a NOP with the result. That is as slow as a blocking
 * connect(), but nothing else gives the completion the result that the app expects. On a registered
 * file nothing can be put in the place of the socket: refused, with EACCES.
 * accept: the kernel's own on the AF_UNIX listener. The address that it would write is of AF_UNIX,
 * so none is asked for, and the new descriptor has no mark until somebody asks for it: qs_sock_mark()
 * then finds it by the record that its peer is named with.
 *
 * A ring that is set up by instructions of the app's own is never seen; quicshim(7) says so.
 */

#define OP_LISTEN 57 /* IORING_OP_LISTEN, Linux 6.11 */
#define NOP_INJECT_RESULT 1u /* IORING_NOP_INJECT_RESULT, Linux 6.10: `len` is the result */
#define FLAGS_KEPT                                                                                 \
	(IOSQE_IO_DRAIN | IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_ASYNC | IOSQE_CQE_SKIP_SUCCESS)

static atomic_uint unsaid[QS_RING_MAX];

/* An engine is told when there is one. */
static void say(void)
{
	if (!qs_may_look() || !qs_state.has_identity)
		return;
	for (unsigned kind = 0; kind < QS_RING_MAX; kind++) {
		struct qs_control_req req = {.op = QS_OP_RING};
		struct qs_control_reply reply;

		req.ring.kind = kind;
		req.ring.n = atomic_exchange_explicit(&unsaid[kind], 0, memory_order_relaxed);
		if (req.ring.n && qs_ask(&req, -1, &reply, NULL, 0, false) < 0)
			atomic_fetch_add_explicit(&unsaid[kind], req.ring.n, memory_order_relaxed);
	}
}

void qs_uring_count(enum qs_ring_kind kind)
{
	atomic_fetch_add_explicit(&unsaid[kind], 1, memory_order_relaxed);
	say();
}

void qs_uring_seen(void)
{
	atomic_store_explicit(&qs_state.rings, true, memory_order_relaxed);
	qs_uring_count(QS_RING_SEEN);
}

static bool nop_has_result(void)
{
	static atomic_int known; /* 1 no, 2 yes */
	struct utsname name;
	int has = atomic_load_explicit(&known, memory_order_relaxed);
	char *end;

	if (!has) {
		has = 1;
		if (qs_raw(SYS_uname, &name, 0, 0, 0) == 0) {
			unsigned long major = strtoul(name.release, &end, 10);
			unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;

			has += major > 6 || (major == 6 && minor >= 10);
		}
		atomic_store_explicit(&known, has, memory_order_relaxed);
	}
	return has == 2;
}

/* The request will complete with `result`, 0 or -errno; before Linux 6.10 with 0 or -EBADF. */
static void become_result(struct io_uring_sqe *sqe, int result)
{
	struct io_uring_sqe out = {.opcode = IORING_OP_NOP,
				   .flags = sqe->flags & FLAGS_KEPT,
				   .fd = -1,
				   .user_data = sqe->user_data};

	if (result < 0 && nop_has_result()) {
		out.rw_flags = NOP_INJECT_RESULT;
		out.len = (unsigned)result;
	} else if (result < 0) {
		out.opcode = IORING_OP_FSYNC;
	}
	memcpy(sqe, &out, sizeof(out));
}

/* A connect that waits, whatever O_NONBLOCK says. 0 or -errno. */
static int connect_now(int fd, const struct sockaddr *addr, socklen_t len)
{
	int flags = qs_sys_fcntl(fd, F_GETFL, 0), rc, error;

	if (flags < 0)
		return flags;
	if (flags & O_NONBLOCK)
		qs_sys_fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	do {
		rc = qs_connect(fd, addr, len);
		error = errno;
	} while (rc < 0 && (error == EINTR || error == EALREADY || error == EINPROGRESS));
	if (flags & O_NONBLOCK)
		qs_sys_fcntl(fd, F_SETFL, flags);
	return rc < 0 ? -error : 0;
}

static bool is_mapped(int fd, struct qs_mark *mark)
{
	return qs_active() && qs_sock_mark(fd, mark);
}

static void judge_connect(struct io_uring_sqe *sqe, const struct sockaddr *addr, socklen_t len)
{
	struct qs_mark mark;

	if (sqe->flags & IOSQE_FIXED_FILE) {
		if (!qs_connect_concerns(addr, len))
			return;
		qs_complain("%1",
			    "a connect by io_uring on a registered file was refused: it would go "
			    "past the policy",
			    "");
		qs_uring_count(QS_RING_REFUSED);
		become_result(sqe, -EACCES);
	} else if (qs_connect_would_map(sqe->fd, addr, len) || is_mapped(sqe->fd, &mark)) {
		become_result(sqe, connect_now(sqe->fd, addr, len));
		qs_uring_count(QS_RING_MADE);
	}
}

/* MSG_FASTOPEN: the address connects first, then what is left is a plain send. */
static void judge_send(struct io_uring_sqe *sqe, const struct sockaddr *addr, socklen_t len)
{
	int rc;

	if (!(sqe->msg_flags & MSG_FASTOPEN) || !addr)
		return;
	if (sqe->flags & IOSQE_FIXED_FILE) {
		judge_connect(sqe, addr, len);
		return;
	}
	if (!qs_connect_would_map(sqe->fd, addr, len))
		return;
	rc = connect_now(sqe->fd, addr, len);
	qs_uring_count(QS_RING_MADE);
	if (rc < 0) {
		become_result(sqe, rc);
		return;
	}
	sqe->msg_flags &= ~(unsigned)MSG_FASTOPEN;
	if (sqe->opcode == IORING_OP_SEND || sqe->opcode == IORING_OP_SEND_ZC)
		sqe->addr2 = sqe->addr_len = 0;
}

static void judge_sendmsg(struct io_uring_sqe *sqe)
{
	struct msghdr *msg = (struct msghdr *)(uintptr_t)sqe->addr;
	struct qs_mark mark;

	if (!msg || !(sqe->msg_flags & MSG_FASTOPEN))
		return;
	judge_send(sqe, msg->msg_name, msg->msg_namelen);
	/* AF_UNIX takes no address on a connected socket, and the app's own message is what the kernel reads. */
	if (is_mapped(sqe->fd, &mark)) {
		msg->msg_name = NULL;
		msg->msg_namelen = 0;
	}
}

static void judge_listen(struct io_uring_sqe *sqe)
{
	struct qs_mark mark;
	int backlog = (int)sqe->len, rc;

	if (sqe->flags & IOSQE_FIXED_FILE) {
		if (!qs_state.has_listen)
			return;
		qs_complain("%1",
			    "a listen by io_uring on a registered file was refused: it would go "
			    "past the policy",
			    "");
		qs_uring_count(QS_RING_REFUSED);
		become_result(sqe, -EACCES);
		return;
	}
	if (qs_sock_tcp_state(sqe->fd) < 0 && !is_mapped(sqe->fd, &mark))
		return;
	rc = listen(sqe->fd, backlog);
	become_result(sqe, rc < 0 ? -errno : 0);
	if (is_mapped(sqe->fd, &mark))
		qs_uring_count(QS_RING_MADE);
}

static void judge_accept(struct io_uring_sqe *sqe)
{
	struct qs_mark mark;

	if ((sqe->flags & IOSQE_FIXED_FILE) || !is_mapped(sqe->fd, &mark) ||
	    mark.state != QS_MARK_LISTENER)
		return;
	sqe->addr = 0;
	sqe->addr2 = 0;
	qs_sock_expect(&mark);
	qs_uring_count(QS_RING_MADE);
}

void qs_uring_judge(struct io_uring_sqe *sqe)
{
	const struct sockaddr *addr = (const struct sockaddr *)(uintptr_t)sqe->addr;
	int saved = errno;

	switch (sqe->opcode) {
	case IORING_OP_CONNECT:
		judge_connect(sqe, addr, (socklen_t)sqe->off);
		break;
	case IORING_OP_ACCEPT:
		judge_accept(sqe);
		break;
	case OP_LISTEN:
		judge_listen(sqe);
		break;
	case IORING_OP_SENDMSG:
	case IORING_OP_SENDMSG_ZC:
		judge_sendmsg(sqe);
		break;
	case IORING_OP_SEND:
	case IORING_OP_SEND_ZC:
		judge_send(sqe, (const struct sockaddr *)(uintptr_t)sqe->addr2, sqe->addr_len);
		break;
	default:
		break;
	}
	errno = saved;
}
