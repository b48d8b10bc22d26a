// SPDX-License-Identifier: MIT
// What strangers and broken programs may do on the engine's three sockets: nothing, and nobody else
// notices.
#include "engine_kit_stream.h"

#include <sys/wait.h>

static int listener, client, server;
static uint16_t port;

static int start(void **state)
{
	(void)state;
	kit_start(kit_policy(""));
	port = 0;
	listener = kit_listen(KIT_ONE, &port);
	kit_pair(KIT_ONE, port, listener, &client, &server);
	kit_pages();
	kit_ping(client, server, 'a');
	return 0;
}

static int stop(void **state)
{
	(void)state;
	close(client);
	close(server);
	close(listener);
	kit_stop();
	return 0;
}

static uint64_t refused(void)
{
	return kit_status()->head.totals.requests_refused;
}

/* The engine serves as before: status, pages, a new stream, an old one. */
static void goes_on(void)
{
	int a, b;

	kit_pages();
	kit_pair(KIT_ONE, port, listener, &a, &b);
	kit_ping(a, b, 'b');
	close(a);
	close(b);
	kit_ping(client, server, 'c');
}

/* Sends one message; the engine must close without an answer. */
static void is_refused(enum qs_channel channel, const void *data, size_t len, const int *fds,
		       size_t n_fds)
{
	int fd = kit_channel(channel, channel == QS_CHANNEL_CONTROL ? SOCK_SEQPACKET : SOCK_STREAM);
	struct qs_control_reply answer;
	ssize_t n;

	n = kit_send_fds(fd, data, len, fds, n_fds);
	assert_true(n == (ssize_t)len || errno == EPIPE || errno == ECONNRESET);
	n = recv(fd, &answer, sizeof(answer), 0);
	assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
	close(fd);
}

static void control_garbage(void **state)
{
	struct qs_control_req req = kit_request(QS_OP_PAGES), bad;
	uint8_t bytes[4096];
	uint64_t before = refused();
	unsigned logged = kit_logged("was refused");

	(void)state;
	getrandom(bytes, sizeof(bytes), 0);
	is_refused(QS_CHANNEL_CONTROL, bytes, 1, NULL, 0);
	is_refused(QS_CHANNEL_CONTROL, bytes, sizeof(req), NULL, 0);
	is_refused(QS_CHANNEL_CONTROL, bytes, sizeof(bytes), NULL, 0);
	is_refused(QS_CHANNEL_CONTROL, &req, sizeof(req) - 1, NULL, 0);
	memcpy(bytes, &req, sizeof(req));
	is_refused(QS_CHANNEL_CONTROL, bytes, sizeof(req) + 1, NULL, 0);
	bad = req;
	bad.magic ^= 1;
	is_refused(QS_CHANNEL_CONTROL, &bad, sizeof(bad), NULL, 0);
	bad = req;
	bad.version++;
	is_refused(QS_CHANNEL_CONTROL, &bad, sizeof(bad), NULL, 0);
	bad = req;
	bad.token[15] ^= 1;
	is_refused(QS_CHANNEL_CONTROL, &bad, sizeof(bad), NULL, 0);
	memset(bad.token, 0, sizeof(bad.token));
	is_refused(QS_CHANNEL_CONTROL, &bad, sizeof(bad), NULL, 0);
	assert_int_equal(refused(), before + 9);
	assert_int_equal(kit_logged("was refused"),
			 logged + 1); /* once, or a stranger could fill the disk */
	goes_on();
}

/* A sound request that asks for the impossible is answered with an errno. */
static void control_bad_requests(void **state)
{
	struct qs_control_reply answer;
	int pair[2], udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
		     file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	const struct {
		enum qs_op op;
		int fd;
	} cases[] = {{QS_OP_LISTEN, -1},
		     {QS_OP_LISTEN, udp},
		     {QS_OP_LISTEN, file},
		     {(enum qs_op)99, -1},
		     {(enum qs_op)0, udp}};

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	for (size_t i = 0; i <= sizeof(cases) / sizeof(cases[0]); i++) {
		bool last = i == sizeof(cases) / sizeof(cases[0]);
		int sent = last ? pair[0] : cases[i].fd, fds[3],
		    fd = kit_channel(QS_CHANNEL_CONTROL, SOCK_SEQPACKET);
		struct qs_control_req req = kit_request(last ? QS_OP_LISTEN : cases[i].op);

		kit_send_fds(fd, &req, sizeof(req), &sent, sent >= 0);
		assert_int_equal(kit_reply(fd, &answer, fds), sizeof(answer));
		assert_true(answer.error > 0 && answer.error < 200);
		assert_int_equal(fds[0], -1);
		assert_int_equal(recv(fd, &answer, sizeof(answer), 0), 0);
		close(fd);
	}
	close(pair[0]);
	close(pair[1]);
	close(udp);
	close(file);
	goes_on();
}

/* The descriptors that come with what is refused, or too many of them, are closed. */
static void descriptors_do_not_leak(void **state)
{
	static struct qs_connect_req header;
	struct qs_control_req req = kit_request(QS_OP_PAGES), bad = req;
	int fds[200];
	unsigned before;

	(void)state;
	goes_on();
	for (int i = 0; i < 200; i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	KIT_UNTIL(kit_status()->head.n_streams == 2);
	before = kit_descriptors();
	bad.token[0] ^= 1;
	kit_header(&header, KIT_ONE, port, false);
	header.token[0] ^= 1;
	for (size_t n = 1; n <= 200; n += n < 10 ? 1 : 38) {
		is_refused(QS_CHANNEL_CONTROL, "x", 1, fds, n);
		is_refused(QS_CHANNEL_CONTROL, &bad, sizeof(bad), fds, n);
		is_refused(QS_CHANNEL_STREAM, "x", 1, fds, n);
		is_refused(QS_CHANNEL_STREAM, &header, sizeof(header), fds, n);
	}
	for (size_t n = 2; n <= 200; n += 66) { /* a sound request with too many */
		int fd = kit_channel(QS_CHANNEL_CONTROL, SOCK_SEQPACKET), got[3];
		struct qs_control_reply answer;

		kit_send_fds(fd, &req, sizeof(req), fds, n);
		if (kit_reply(fd, &answer, got) > 0) {
			close(got[0]);
			close(got[1]);
		}
		close(fd);
	}
	KIT_UNTIL(kit_descriptors() == before);
	for (int i = 0; i < 200; i++)
		close(fds[i]);
	goes_on();
}

static void stream_garbage(void **state)
{
	static struct qs_connect_req good, bad;
	uint64_t before = refused(), begin = kit_now_ms();

	(void)state;
	kit_header(&good, KIT_ONE, port, false);
#define REFUSED_WITH(change)                                                                       \
	do {                                                                                       \
		int devnull = open("/dev/null", O_RDONLY | O_CLOEXEC);                             \
		bad = good;                                                                        \
		change;                                                                            \
		is_refused(QS_CHANNEL_STREAM, &bad, sizeof(bad), &devnull, 1);                     \
		close(devnull);                                                                    \
	} while (0)
	REFUSED_WITH(getrandom(&bad, sizeof(bad), 0));
	REFUSED_WITH(bad.magic++);
	REFUSED_WITH(bad.version = 0);
	REFUSED_WITH(bad.token[7] ^= 0x80);
	REFUSED_WITH(bad.dest.family = 77);
	REFUSED_WITH(bad.dest.port = 0);
	REFUSED_WITH(bad.source.family = AF_UNIX);
	REFUSED_WITH(bad.n_names = QS_NAMES_MAX + 1);
	REFUSED_WITH(bad.n_names = 65535);
	REFUSED_WITH(bad.n_names = 4; memset(bad.names, 'a', sizeof(bad.names)));
	REFUSED_WITH(memset(bad.device, 'a', sizeof(bad.device)));
	is_refused(QS_CHANNEL_STREAM, &good, sizeof(good), NULL, 0); /* no descriptor */
	is_refused(QS_CHANNEL_STREAM, &good, 100, &client, 1); /* cut */
	is_refused(QS_CHANNEL_STREAM, "", 1, NULL, 0);
	assert_int_equal(refused(), before + 14);
	assert_true(kit_now_ms() - begin <
		    3000); /* at once: what can be judged does not wait for more */
	goes_on();
}

/* A header that promises more than comes: the engine waits for it, but not by asking again and
 * again. */
static void unfinished_header_costs_nothing(void **state)
{
	static struct qs_connect_req req;
	int fd = kit_channel(QS_CHANNEL_STREAM, SOCK_STREAM);
	struct timespec before, after;
	clockid_t clock;

	(void)state;
	kit_header(&req, KIT_ONE, port, false);
	req.total = 1 << 20;
	assert_int_equal(kit_send_fds(fd, &req, sizeof(req), &fd, 1), sizeof(req));
	goes_on();
	assert_int_equal(pthread_getcpuclockid(kit_thread, &clock), 0);
	clock_gettime(clock, &before);
	for (uint64_t end = kit_now_ms() + 300; kit_now_ms() < end;)
		kit_pause();
	clock_gettime(clock, &after);
	close(fd);
	assert_in_range((after.tv_sec - before.tv_sec) * 1000 +
				(after.tv_nsec - before.tv_nsec) / 1000000,
			0, 100);
	KIT_UNTIL(refused() > 0);
}

/* A sound header for what the policy does not name: EACCES, however often. */
static void stream_without_rule(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		int fd = kit_connect_start("127.0.0.3", port);

		assert_int_equal(kit_connect_finish(fd), EACCES);
		assert_non_null(strstr(kit_slot(fd)->reason, "no rule"));
		close(fd);
	}
	goes_on();
}

/* Many who connect and say nothing: others are served, and the silent ones are closed after 5 s. */
static void silent_clients(void **state)
{
	enum { EACH = 300 };
	int fds[3 * EACH];
	uint64_t begin = kit_now_ms();

	(void)state;
	for (int i = 0; i < 3 * EACH; i++)
		fds[i] = kit_channel(i < EACH ? QS_CHANNEL_CONTROL : QS_CHANNEL_STREAM,
				     i < EACH ? SOCK_SEQPACKET : SOCK_STREAM);
	goes_on();
	for (int i = 0; i < 3 * EACH; i++) {
		struct pollfd pfd = {.fd = fds[i], .events = POLLIN};

		assert_int_equal(poll(&pfd, 1, 10000), 1);
		assert_true(pfd.revents & POLLHUP);
		close(fds[i]);
	}
	assert_in_range(kit_now_ms() - begin, 4500, 9000);
	goes_on();
}

/* Viewers that never read: those beyond the limit are turned away, and then served again. */
static void silent_viewers(void **state)
{
	int fds[40];

	(void)state;
	for (int i = 0; i < 40; i++)
		fds[i] = kit_channel(QS_CHANNEL_STATUS, SOCK_STREAM);
	for (int i = 0; i < 40; i++)
		close(fds[i]);
	goes_on();
	(void)refused();
}

/* As another user: the status socket tells nothing, the others are closed to who does not know the
 * token. */
static int as_stranger(void)
{
	struct qs_control_req req = kit_request(QS_OP_PAGES);
	static struct qs_connect_req header;
	char byte;
	int fd, mine;

	if (setgid(65534) < 0 || setuid(65534) < 0)
		return 77;
	fd = kit_channel(QS_CHANNEL_STATUS, SOCK_STREAM);
	if (recv(fd, &byte, 1, 0) > 0)
		return 1;
	close(fd);
	memset(req.token, 0, sizeof(req.token));
	fd = kit_channel(QS_CHANNEL_CONTROL, SOCK_SEQPACKET);
	send(fd, &req, sizeof(req), MSG_NOSIGNAL);
	if (recv(fd, &byte, 1, 0) > 0)
		return 2;
	close(fd);
	kit_header(&header, KIT_ONE, port, false);
	memset(header.token, 0xff, sizeof(header.token));
	mine = open("/dev/null", O_RDONLY | O_CLOEXEC);
	fd = kit_channel(QS_CHANNEL_STREAM, SOCK_STREAM);
	kit_send_fds(fd, &header, sizeof(header), &mine, 1);
	if (recv(fd, &byte, 1, 0) > 0)
		return 3;
	return 0;
}

static void stranger_is_refused(void **state)
{
	uint64_t before = refused();
	pid_t pid;
	int status;

	(void)state;
	if (geteuid() != 0)
		skip();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(as_stranger());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(refused(), before + 3);
	goes_on();
}

/* A TCP socket whose last close() waits for half a minute, as its owner wished. */
static int slow_to_close(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	struct linger linger = {1, 30};
	static char octets[65536];
	int to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

	assert_int_equal(bind(to, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(to, 1), 0);
	assert_int_equal(getsockname(to, (struct sockaddr *)&addr, &len), 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, len), 0);
	while (send(fd, octets, sizeof(octets), MSG_DONTWAIT) > 0)
		;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return fd; /* the other end is never accepted nor read */
}

/* The engine gets the last reference to it: with the message that it reads, and with those that stand behind. */
static void what_strangers_send_holds_nobody_up(void **state)
{
	static const struct {
		enum qs_channel channel;
		int type;
	} ways[] = {{QS_CHANNEL_CONTROL, SOCK_SEQPACKET}, {QS_CHANNEL_STREAM, SOCK_STREAM}};
	uint64_t begin = kit_now_ms();

	(void)state;
	for (int i = 0; i < 2; i++) {
		int fd = kit_channel(ways[i].channel, ways[i].type);

		for (int k = 0; k < 3; k++) {
			int slow = slow_to_close();
			struct linger none = {0};

			/* What was not taken is the test's own to close. */
			if (kit_send_fds(fd, "x", (size_t)(k != 0 || i != 0), &slow, 1) < 0)
				setsockopt(slow, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
			close(slow);
		}
		close(fd);
	}
	goes_on();
	assert_true(kit_now_ms() - begin < 20000);
}

/* The process that called listen() ends while the engine is in the middle of something: the
 * listener goes, once. */
static void listening_process_ends(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		uint16_t its_port = 0;
		int status;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			kit_listen(KIT_ONE, &its_port);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		KIT_UNTIL(kit_status()->head.n_listeners == 1);
	}
	goes_on();
}

int main(void)
{
#define WITH_ENGINE(test) cmocka_unit_test_setup_teardown(test, start, stop)
	static const struct CMUnitTest tests[] = {
		WITH_ENGINE(control_garbage),
		WITH_ENGINE(control_bad_requests),
		WITH_ENGINE(descriptors_do_not_leak),
		WITH_ENGINE(stream_garbage),
		WITH_ENGINE(unfinished_header_costs_nothing),
		WITH_ENGINE(stream_without_rule),
		WITH_ENGINE(silent_viewers),
		WITH_ENGINE(stranger_is_refused),
		WITH_ENGINE(what_strangers_send_holds_nobody_up),
		WITH_ENGINE(listening_process_ends),
		WITH_ENGINE(silent_clients),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
