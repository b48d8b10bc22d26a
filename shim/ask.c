/* SPDX-License-Identifier: MIT */
/* Requests from the shim to the engine. */
#include "ask.h"

#include "raw.h"
#include "spawn.h"
#include "state.h"

#include <string.h>
#include <sys/time.h>

#define PATIENCE_MS 2000 /* while another process starts or ends the engine */
#define PAUSE_MS 2
#define SPAWNS_MAX                                                                                 \
	3 /* the name is bound before the engine is started: one is enough unless it dies */
#define LISTEN_WAIT_S 15 /* keys are read and ports bound meanwhile */
#define PAGES_WAIT_S 1

atomic_int qs_ask_engine = -1;

/*
 * Names are public: when our engine has ended, anybody may take its name, and would be told the
 * token. Whoever listens there must be root or ourselves.
 */
static int check_owner(int sock)
{
	struct ucred cred = {.uid = (uid_t)-1};
	socklen_t len = sizeof(cred);

	if (qs_sys_getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ||
	    (cred.uid != 0 && cred.uid != (uid_t)qs_raw(SYS_geteuid, 0, 0, 0, 0) &&
	     cred.uid != (uid_t)qs_raw(SYS_getuid, 0, 0, 0, 0))) {
		qs_complain("%1",
			    "another user has taken the name of this program's engine: nothing is "
			    "sent to it",
			    "");
		return -EACCES;
	}
	atomic_store_explicit(&qs_ask_engine, (int)cred.pid, memory_order_relaxed);
	return 0;
}

int qs_ask_connect(int sock, enum qs_channel channel, bool start)
{
	struct sockaddr_un name;
	socklen_t len = qs_control_address(&name, qs_state.identity.id, channel);

	unsigned spawned = 0;

	if (!qs_may_ask())
		return -EPERM;

	for (unsigned waited = 0;; waited += PAUSE_MS) {
		int rc = qs_sys_connect(sock, &name, len);

		if (rc == 0)
			return check_owner(sock);
		if (rc != -ECONNREFUSED && rc != -EAGAIN && rc != -EINTR)
			return rc;
		if (rc == -ECONNREFUSED) {
			if (!start)
				return rc;
			if (spawned++ >= SPAWNS_MAX) {
				qs_complain("%1",
					    "the engine ends as soon as it is started; "
					    "QUICSHIM_LOG=FILE may tell why",
					    "");
				return -ECONNREFUSED;
			}
			rc = qs_spawn_engine();
			if (rc == 0)
				continue;
			if (rc != -EADDRINUSE)
				return -ECONNREFUSED;
		}
		if (waited >= PATIENCE_MS)
			return -ECONNREFUSED;
		qs_sys_pause_ms(PAUSE_MS);
	}
}

long qs_ask_send(int sock, const void *data, size_t len, const int *fds, unsigned n_fds, int flags)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(QS_ASK_FDS_MAX * sizeof(int))];
	} control = {0};
	union {
		const void *in;
		void *out;
	} base = {.in = data};
	struct iovec iov = {.iov_base = base.out, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n_fds > 0) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
	}
	return qs_sys_sendmsg(sock, &msg, flags | MSG_NOSIGNAL);
}

/* The reply, and its descriptors if it brings exactly as many as it must. */
static int receive(int sock, struct qs_control_reply *reply, int *fds, unsigned max_fds)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = reply, .iov_len = sizeof(*reply)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	unsigned n = 0;
	bool good;
	long got;

	do
		got = qs_sys_recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (got == -EINTR);
	if (got < 0)
		return (int)got;
	good = got == (long)sizeof(*reply) && reply->magic == QS_CONTROL_MAGIC &&
	       !(msg.msg_flags & MSG_CTRUNC);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (n < max_fds)
				fds[n++] = fd;
			else
				qs_sys_close(fd);
		}
	}
	reply->text[sizeof(reply->text) - 1] = '\0';
	if (good && n == (reply->error ? 0 : max_fds))
		return (int)n;
	while (n > 0)
		qs_sys_close(fds[--n]);
	if (good && reply->error)
		return 0;
	return msg.msg_flags & MSG_CTRUNC ? -EMFILE : -EPROTO;
}

int qs_ask(struct qs_control_req *req, int fd, struct qs_control_reply *reply, int *fds,
	   unsigned max_fds, bool start)
{
	struct timeval wait = {.tv_sec = start ? LISTEN_WAIT_S : PAGES_WAIT_S};
	int sock, rc = -ECONNREFUSED;

	if (!qs_may_ask())
		return -EPERM;
	req->magic = QS_CONTROL_MAGIC;
	req->version = QS_PROTOCOL_VERSION;
	memcpy(req->token, qs_state.identity.token, sizeof(req->token));
	/* An engine that is just ending takes no request any more: the second time a new one is
	 * there. */
	for (unsigned tries = 0; tries < (start ? 3 : 1); tries++) {
		sock = qs_sys_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		if (sock < 0)
			return sock;
		qs_sys_setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
		qs_sys_setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
		rc = qs_ask_connect(sock, QS_CHANNEL_CONTROL, start);
		if (rc == 0)
			rc = (int)qs_ask_send(sock, req, sizeof(*req), &fd, fd >= 0, 0);
		if (rc >= 0)
			rc = receive(sock, reply, fds, max_fds);
		qs_sys_close(sock);
		if (rc >= 0 || (rc != -EPIPE && rc != -ECONNRESET && rc != -EPROTO))
			break;
	}
	return rc;
}
