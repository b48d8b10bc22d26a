/* SPDX-License-Identifier: MIT */
/* For test_engine*.c: an engine on a thread of this process, and the shim's part played against it.
 */
#ifndef QS_TEST_ENGINE_KIT_H
#define QS_TEST_ENGINE_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants those four first */

#include "engine/conn.h"
#include "engine/control.h"
#include "engine/engine.h"
#include "engine/log.h"
#include "engine/rlimit.h"
#include "engine/status.h"
#include "test_tls_pki.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/random.h>

#ifndef SO_MAX_PACING_RATE
#define SO_MAX_PACING_RATE 47
#endif
#define KIT static __attribute__((unused))
#define KIT_MS_MAX 15000 /* nothing here takes so long, unless it never comes */

/* The policy of most tests: two addresses that are two connections, as their server names differ.
 */
#define KIT_ONE "127.0.0.1"
#define KIT_TWO "127.0.0.2"

static struct qs_engine kit_engine;
static struct qs_identity kit_id;
static pthread_t kit_thread;
static bool kit_running;
static int kit_status_fd = -1;
static const struct qs_page *kit_page;
static const char *kit_log;
static int32_t kit_backlog = 512; /* of the listeners to come */

KIT uint64_t kit_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

KIT void kit_pause(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* Waits until `condition` holds; it is looked at every 2 ms. */
#define KIT_UNTIL(condition)                                                                       \
	do {                                                                                       \
		uint64_t kit_end = kit_now_ms() + KIT_MS_MAX;                                      \
		while (!(condition)) {                                                             \
			if (kit_now_ms() > kit_end)                                                \
				fail_msg("%s:%d: never: %s", __FILE__, __LINE__, #condition);      \
			kit_pause();                                                               \
		}                                                                                  \
	} while (0)

/* --- the engine --- */

KIT int kit_listening(enum qs_channel channel, int type)
{
	struct sockaddr_un addr;
	socklen_t len = qs_control_address(&addr, kit_id.id, channel);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(fd, 4096), 0);
	return fd;
}

KIT void *kit_run(void *argument)
{
	(void)argument;
	qs_engine_run(&kit_engine);
	return NULL;
}

/* The usual policy, with more lines for its defaults. Static storage. */
KIT const char *kit_policy(const char *more)
{
	static char text[2048];

	snprintf(text, sizeof(text),
		 "[defaults]\nca = %s\nlinger = 20ms\nhandshake-timeout = 2s\n%s"
		 "[connect " KIT_ONE " *]\nmode = quic\nserver-name = one.kit.test\n"
		 "[connect " KIT_TWO " *]\nmode = quic\nserver-name = two.kit.test\n"
		 "[listen * *]\nmode = quic\ncert = %s\nkey = %s\n",
		 pki_path("kit-ca.pem"), more, pki_path("kit.pem"), pki_path("kit.key"));
	return text;
}

/* Starts an engine with this policy. It lingers so briefly that kit_stop() can wait for it. */
KIT void kit_start(const char *policy)
{
	const char *path;

	path = pki_write("policy.conf", policy, strlen(policy), false);
	assert_int_equal(getrandom(&kit_id, sizeof(kit_id), 0), sizeof(kit_id));
	assert_int_equal(qs_engine_init(&kit_engine, &kit_id, false,
					kit_listening(QS_CHANNEL_STREAM, SOCK_STREAM),
					kit_listening(QS_CHANNEL_CONTROL, SOCK_SEQPACKET), path),
			 0);
	assert_string_equal(kit_engine.policy_fault, "");
	assert_int_equal(pthread_create(&kit_thread, NULL, kit_run, NULL), 0);
	kit_running = true;
}

/* Wakes the engine, so that it looks at the clock. A viewer does not count as somebody who is
 * served. */
KIT void kit_wake(void)
{
	struct sockaddr_un addr;
	socklen_t len = qs_control_address(&addr, kit_id.id, QS_CHANNEL_STATUS);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	(void)connect(fd, (struct sockaddr *)&addr, len);
	close(fd);
}

/* All that the test opened must be closed. An engine that still thinks it serves somebody never
 * ends. */
KIT void kit_stop(void)
{
	uint64_t end = kit_now_ms() + KIT_MS_MAX;

	if (kit_page != NULL)
		munmap((void *)(uintptr_t)kit_page, QS_PAGE_BYTES);
	kit_page = NULL;
	if (kit_status_fd >= 0)
		close(kit_status_fd);
	kit_status_fd = -1;
	while (kit_running && pthread_tryjoin_np(kit_thread, NULL) != 0) {
		if (kit_now_ms() > end) {
			/* It still uses kit_engine: no other test can run. */
			fprintf(stderr,
				"the engine does not end: %u streams, %u connections, %u requests, "
				"listeners: %s\n",
				kit_engine.n_streams, kit_engine.n_conns, kit_engine.n_requests,
				TAILQ_EMPTY(&kit_engine.listeners) ? "none" : "some");
			_exit(1);
		}
		kit_wake();
		for (int i = 0; i < 10; i++)
			kit_pause();
	}
	if (!kit_running)
		return;
	kit_running = false;
	qs_engine_fini(&kit_engine);
}

/* Group set-up: a CA and one server certificate for both addresses. */
KIT int kit_setup(void **state)
{
	struct pki_cert ca;

	signal(SIGPIPE, SIG_IGN);
	qs_rlimit_own();
	if (pki_setup(state) < 0)
		return -1;
	kit_log = getenv("QUICSHIM_LOG") ? getenv("QUICSHIM_LOG") : pki_path("engine.log");
	qs_log_open(kit_log);
	pki_authority(&ca, NULL, "kit CA");
	pki_write_crt("kit-ca.pem", ca.crt, false);
	pki_leaf_files("kit", &ca, &(struct pki_leaf){.dns = "*.kit.test", .address = KIT_ONE});
	pki_end(&ca);
	return 0;
}

KIT int kit_teardown(void **state)
{
	return pki_teardown(state);
}

/* --- control and pages --- */

KIT int kit_channel(enum qs_channel channel, int type)
{
	struct sockaddr_un addr;
	socklen_t len = qs_control_address(&addr, kit_id.id, channel);
	struct timeval limit = {.tv_sec = KIT_MS_MAX / 1000};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, len), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return fd;
}

/* One message with `n_fds` descriptors. What sendmsg says. */
KIT ssize_t kit_send_fds(int fd, const void *data, size_t len, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 253)];
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)data, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n_fds > 0) {
		struct cmsghdr *c;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

/* Reads the reply to a control request and up to three descriptors. What recvmsg says. */
KIT ssize_t kit_reply(int fd, struct qs_control_reply *answer, int fds[3])
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 3)];
	} control;
	struct iovec iov = {answer, sizeof(*answer)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	fds[0] = fds[1] = fds[2] = -1;
	if (c != NULL)
		memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	return n;
}

KIT struct qs_control_req kit_request(enum qs_op op)
{
	struct qs_control_req req = {.magic = QS_CONTROL_MAGIC,
				     .version = QS_PROTOCOL_VERSION,
				     .op = op,
				     .backlog = kit_backlog};

	memcpy(req.token, kit_id.token, sizeof(req.token));
	return req;
}

/* Asks for the pages: the engine is alive, and reads requests. */
KIT void kit_pages(void)
{
	struct qs_control_req req = kit_request(QS_OP_PAGES);
	struct qs_control_reply answer;
	int fd = kit_channel(QS_CHANNEL_CONTROL, SOCK_SEQPACKET), fds[3];

	assert_int_equal(kit_send_fds(fd, &req, sizeof(req), NULL, 0), sizeof(req));
	assert_int_equal(kit_reply(fd, &answer, fds), sizeof(answer));
	assert_int_equal(answer.error, 0);
	close(fd);
	close(fds[1]);
	if (kit_page != NULL) {
		close(fds[0]);
		return;
	}
	kit_status_fd = fds[0];
	kit_page = mmap(NULL, QS_PAGE_BYTES, PROT_READ, MAP_SHARED, fds[0], 0);
	assert_true(kit_page != MAP_FAILED);
}

/* A listener on `ip`, any port (*port == 0) or this one. Non-blocking. */
KIT int kit_listen(const char *ip, uint16_t *port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	struct qs_control_req req = kit_request(QS_OP_LISTEN);
	struct qs_control_reply answer;
	socklen_t len = sizeof(sin);
	int tcp, fd, fds[3], tries = 0;

	inet_pton(AF_INET, ip, &sin.sin_addr);
	do { /* a port that the kernel chose may be another test's UDP port */
		sin.sin_port = htons(*port);
		tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(tcp, (struct sockaddr *)&sin, sizeof(sin)), 0);
		assert_int_equal(getsockname(tcp, (struct sockaddr *)&sin, &len), 0);
		fd = kit_channel(QS_CHANNEL_CONTROL, SOCK_SEQPACKET);
		assert_int_equal(kit_send_fds(fd, &req, sizeof(req), &tcp, 1), sizeof(req));
		assert_int_equal(kit_reply(fd, &answer, fds), sizeof(answer));
		close(fd);
		close(tcp);
	} while (*port == 0 && answer.error == EADDRINUSE && ++tries < 10);
	if (answer.error != 0)
		fail_msg("listen: %s: %s", strerrorname_np(answer.error), answer.text);
	*port = ntohs(sin.sin_port);
	close(fds[1]);
	close(fds[2]);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	return fds[0];
}

/* --- status --- */

struct kit_status {
	struct qs_status_head head;
	struct qs_status_connection connections[64]; /* the first ones */
	const uint8_t *bytes; /* all, until the next call */
};

/* What the status socket says: head and connections. */
KIT const struct kit_status *kit_status(void)
{
	static struct kit_status status;
	static uint8_t bytes[1 << 20];
	int fd = kit_channel(QS_CHANNEL_STATUS, SOCK_STREAM);
	size_t len = 0, n;
	ssize_t got;

	while ((got = recv(fd, bytes + len, sizeof(bytes) - len, 0)) > 0)
		len += (size_t)got;
	close(fd);
	assert_true(len >= sizeof(status.head));
	memcpy(&status.head, bytes, sizeof(status.head));
	assert_int_equal(status.head.magic, QS_STATUS_MAGIC);
	assert_int_equal(len,
			 sizeof(status.head) +
				 status.head.n_connections * sizeof(struct qs_status_connection) +
				 status.head.n_streams * sizeof(struct qs_status_stream) +
				 status.head.n_listeners * sizeof(struct qs_status_listener) +
				 status.head.n_members * sizeof(struct qs_status_member));
	status.bytes = bytes;
	n = status.head.n_connections < 64 ? status.head.n_connections : 64;
	memcpy(status.connections, bytes + sizeof(status.head),
	       n * sizeof(struct qs_status_connection));
	return &status;
}

/* Open client connections for this server name. */
KIT unsigned kit_connections(const char *sni)
{
	const struct kit_status *status = kit_status();
	unsigned n = 0;

	for (unsigned i = 0; i < status->head.n_connections && i < 64; i++)
		n += !status->connections[i].server && strcmp(status->connections[i].sni, sni) == 0;
	return n;
}

/* --- the rest --- */

/* Lines of the log that hold `text`. */
KIT unsigned kit_logged(const char *text)
{
	char line[2048];
	unsigned n = 0;
	FILE *file = fopen(kit_log, "re");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL)
		n += strstr(line, text) != NULL;
	fclose(file);
	return n;
}

/* How many descriptors this process has, engine and all. */
KIT unsigned kit_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

#endif
