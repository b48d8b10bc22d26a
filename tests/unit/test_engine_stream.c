// SPDX-License-Identifier: MIT
// Streams through an engine, both ends on it: bytes, ends, resets, refusals, and who may stall
// whom.
#include "engine_kit_stream.h"

#define BULK (8u << 20)

static int listener;
static uint16_t port;

static int start(void **state)
{
	(void)state;
	kit_start(kit_policy(""));
	port = 0;
	listener = kit_listen(KIT_ONE, &port);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	if (listener >= 0)
		close(listener);
	kit_stop();
	return 0;
}

static void ping(void **state)
{
	int client, server;

	(void)state;
	kit_pair(KIT_ONE, port, listener, &client, &server);
	kit_ping(client, server, 'x');
	assert_int_equal(kit_slot(client)->state, QS_SLOT_OPEN);
	assert_int_equal(kit_slot(client)->peer.port, port);
	assert_int_equal(kit_slot(server)->local.port, port);
	close(client);
	assert_int_equal(kit_end_errno(server), 0);
	close(server);
}

/* A blocking connect waits by sending one byte with a descriptor, which the peer must not see. */
static void blocking_connect(void **state)
{
	static struct qs_connect_req req;
	int fd = kit_channel(QS_CHANNEL_STREAM, SOCK_STREAM), one = 1, server;

	(void)state;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &one, sizeof(one));
	kit_header(&req, KIT_ONE, port, true);
	assert_int_equal(kit_send_fds(fd, &req, sizeof(req), &fd, 1), sizeof(req));
	assert_int_equal(kit_send_fds(fd, "x", 1, &fd, 1), 1);
	assert_int_equal(kit_connect_finish(fd), 0);
	server = kit_accept(listener);
	kit_ping(fd, server, 'y');
	close(fd);
	close(server);
}

static void server_speaks_first(void **state)
{
	int client, server;
	char got[6] = "";

	(void)state;
	kit_pair(KIT_ONE, port, listener, &client, &server);
	kit_write(server, "hello", 5);
	assert_int_equal(kit_read(client, got, 5), 5);
	assert_string_equal(got, "hello");
	close(client);
	close(server);
}

/* One end says all and shuts; the other reads to the end and then still writes. */
static void half_close(int a, int b)
{
	char got[8] = "";

	kit_write(a, "all", 3);
	assert_int_equal(shutdown(a, SHUT_WR), 0);
	assert_int_equal(kit_read(b, got, sizeof(got)), 3);
	kit_write(b, "answer", 6);
	close(b);
	assert_int_equal(kit_read(a, got, sizeof(got)), 6);
	assert_memory_equal(got, "answer", 6);
	assert_int_equal(kit_slot(a)->error, 0);
	close(a);
}

static void half_close_each_way(void **state)
{
	int client, server;

	(void)state;
	kit_pair(KIT_ONE, port, listener, &client, &server);
	half_close(client, server);
	kit_pair(KIT_ONE, port, listener, &client, &server);
	half_close(server, client);
}

/* The byte at each place follows from the place, so that loss, doubling and disorder show. */
static uint8_t byte_at(size_t place)
{
	return (uint8_t)(place * 2654435761u >> 13);
}

struct pump {
	int fd;
	size_t sent, received, bad;
};

static bool pump_turn(struct pump *pump, size_t total)
{
	uint8_t buf[32768];
	ssize_t n;

	if (pump->sent < total) {
		size_t len = total - pump->sent < sizeof(buf) ? total - pump->sent : sizeof(buf);

		for (size_t i = 0; i < len; i++)
			buf[i] = byte_at(pump->sent + i);
		n = send(pump->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0)
			pump->sent += (size_t)n;
	}
	n = recv(pump->fd, buf, sizeof(buf), MSG_DONTWAIT);
	for (ssize_t i = 0; i < n; i++)
		pump->bad += buf[i] != byte_at(pump->received + (size_t)i);
	if (n > 0)
		pump->received += (size_t)n;
	return pump->sent == total && pump->received == total;
}

/* `total` bytes each way at once between both ends. */
static void pump_both(int a, int b, size_t total)
{
	struct pump one = {.fd = a}, two = {.fd = b};
	uint64_t end = kit_now_ms() + KIT_MS_MAX;
	bool done;

	do {
		struct pollfd pfds[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};

		if (one.sent < total)
			pfds[0].events |= POLLOUT;
		if (two.sent < total)
			pfds[1].events |= POLLOUT;
		poll(pfds, 2, 1000);
		done = pump_turn(&one, total);
		done = pump_turn(&two, total) && done;
		if (kit_now_ms() > end)
			fail_msg("stalled: a sent %zu got %zu, b sent %zu got %zu of %zu", one.sent,
				 one.received, two.sent, two.received, total);
	} while (!done);
	assert_int_equal(one.bad, 0);
	assert_int_equal(two.bad, 0);
}

static void bulk_both_ways(void **state)
{
	int client, server;

	(void)state;
	kit_pair(KIT_ONE, port, listener, &client, &server);
	pump_both(client, server, BULK);
	shutdown(client, SHUT_WR);
	assert_int_equal(kit_end_errno(server), 0);
	close(server);
	assert_int_equal(kit_end_errno(client), 0);
	close(client);
}

static void many_streams_one_connection(void **state)
{
	enum { STREAMS = 200 };
	int clients[STREAMS], servers[STREAMS];

	(void)state;
	for (int i = 0; i < STREAMS; i++)
		clients[i] = kit_connect_start(KIT_ONE, port);
	for (int i = 0; i < STREAMS; i++)
		assert_int_equal(kit_connect_finish(clients[i]), 0);
	for (int i = 0; i < STREAMS; i++)
		kit_write(clients[i], &i, sizeof(i));
	for (int i = 0; i < STREAMS; i++) {
		int n = -1, fd = kit_accept(listener); /* in any order */

		assert_int_equal(kit_read(fd, &n, sizeof(n)), sizeof(n));
		assert_in_range(n, 0, STREAMS - 1);
		servers[n] = fd;
		kit_write(fd, &n, sizeof(n));
	}
	for (int i = 0; i < STREAMS; i++) {
		int n = -1;

		assert_int_equal(kit_read(clients[i], &n, sizeof(n)), sizeof(n));
		assert_int_equal(n, i);
	}
	assert_int_equal(kit_connections("one.kit.test"), 1);
	assert_int_equal(kit_status()->head.n_streams, 2 * STREAMS);
	assert_int_equal(kit_status()->head.totals.connections_opened, 1);
	assert_int_equal(kit_status()->head.totals.streams_opened, STREAMS);
	assert_int_equal(kit_status()->head.totals.streams_accepted, STREAMS);
	for (int i = 0; i < STREAMS; i++) {
		close(clients[i]);
		assert_int_equal(kit_end_errno(servers[i]), 0);
		close(servers[i]);
	}
	KIT_UNTIL(kit_status()->head.n_streams == 0);
}

/* A close with data unread is a reset, as TCP has it. */
static void close_unread_resets(void **state)
{
	int client, server;
	struct pollfd pfd = {.events = POLLIN};

	(void)state;
	kit_pair(KIT_ONE, port, listener, &client, &server);
	kit_write(client, "unread", 6);
	pfd.fd = server;
	assert_int_equal(poll(&pfd, 1, KIT_MS_MAX), 1);
	close(server);
	assert_int_equal(kit_end_errno(client), ECONNRESET);
	close(client);

	kit_pair(KIT_ONE, port, listener, &client, &server);
	kit_write(server, "unread", 6);
	pfd.fd = client;
	assert_int_equal(poll(&pfd, 1, KIT_MS_MAX), 1);
	close(client);
	assert_int_equal(kit_end_errno(server), ECONNRESET);
	close(server);
}

/* Data for an app that is gone: its peer's writes soon fail, with EPIPE since the FIN came first
 * (tcp_reset()). */
static void write_to_the_gone_fails(void **state)
{
	int client, server;

	(void)state;
	kit_pair(KIT_ONE, port, listener, &client, &server);
	close(server);
	assert_int_equal(kit_end_errno(client), 0);
	kit_write(client, "too late", 8);
	KIT_UNTIL(send(client, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0);
	assert_true(errno == EPIPE || errno == ECONNRESET);
	close(client);
}

/* The listener is gone while its connection lives: code 2, which is ECONNREFUSED. */
static void listener_gone_refuses(void **state)
{
	int client, server, late;

	(void)state;
	kit_pair(KIT_ONE, port, listener, &client, &server);
	close(listener);
	listener = -1;
	late = kit_connect_start(KIT_ONE, port);
	if (kit_connect_finish(late) == 0)
		assert_int_equal(kit_end_errno(late), ECONNREFUSED);
	else
		assert_int_equal(kit_connect_finish(late), ECONNREFUSED);
	close(late);
	kit_ping(client, server, 'z');
	close(client);
	close(server);
}

/* Nobody listens on the UDP port: the ICMP answer ends the connect at once. */
static void closed_port_refuses(void **state)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t len = sizeof(sin);
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), fd;
	uint64_t begin;

	(void)state;
	inet_pton(AF_INET, KIT_ONE, &sin.sin_addr);
	assert_int_equal(bind(udp, (struct sockaddr *)&sin, sizeof(sin)), 0);
	getsockname(udp, (struct sockaddr *)&sin, &len);
	close(udp);
	begin = kit_now_ms();
	fd = kit_connect_start(KIT_ONE, ntohs(sin.sin_port));
	assert_int_equal(kit_connect_finish(fd), ECONNREFUSED);
	assert_true(kit_now_ms() - begin < 1000);
	close(fd);
}

/* Writes until the flow control stops it and keeps it stopped. Returns how much went in. */
static size_t fill(int fd)
{
	static const uint8_t zeros[65536];
	size_t total = 0;
	int blocked = 0;

	while (blocked < 50) {
		ssize_t n = send(fd, zeros, sizeof(zeros), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			total += (size_t)n;
			blocked = 0;
		} else {
			struct pollfd pfd = {.fd = fd, .events = POLLOUT};

			assert_int_equal(errno, EAGAIN);
			blocked = poll(&pfd, 1, 4) == 1 ? 0 : blocked + 1;
		}
	}
	return total;
}

static size_t drain(int fd)
{
	static uint8_t buf[65536];
	size_t total = 0;
	ssize_t n;

	while ((n = kit_read(fd, buf, sizeof(buf))) > 0)
		total += (size_t)n;
	assert_int_equal(n, 0);
	return total;
}

/* One app does not read: its stream stops, its neighbours on the connection don't. Both directions.
 */
static void unread_stream_stalls_nobody(void **state)
{
	int lazy_client, lazy_server, client, server;
	size_t to_server, to_client;

	(void)state;
	kit_pair(KIT_ONE, port, listener, &lazy_client, &lazy_server);
	kit_pair(KIT_ONE, port, listener, &client, &server);
	to_server = fill(lazy_client);
	to_client = fill(lazy_server);
	assert_true(to_server < 64u << 20);
	pump_both(client, server, BULK);
	assert_int_equal(kit_connections("one.kit.test"), 1);
	close(client);
	close(server);
	shutdown(lazy_client, SHUT_WR);
	assert_int_equal(drain(lazy_server), to_server);
	shutdown(lazy_server, SHUT_WR);
	assert_int_equal(drain(lazy_client), to_client);
	close(lazy_client);
	close(lazy_server);
}

/* So many that don't read that what waits for them passes the connection's ceiling. */
static void many_unread_streams_stall_nobody(void **state)
{
	enum { LAZY = 160 };
	static const uint8_t zeros[1 << 20];
	int clients[LAZY], servers[LAZY], client, server;

	(void)state;
	kit_pair(KIT_ONE, port, listener, &client, &server);
	for (int i = 0; i < LAZY; i++) {
		kit_pair(KIT_ONE, port, listener, &clients[i], &servers[i]);
		for (size_t at = 0; at < sizeof(zeros);) {
			struct pollfd pfd = {.fd = clients[i], .events = POLLOUT};
			ssize_t n = send(clients[i], zeros, sizeof(zeros) - at,
					 MSG_DONTWAIT | MSG_NOSIGNAL);

			if (n > 0)
				at += (size_t)n;
			else if (poll(&pfd, 1, 50) == 0)
				break;
		}
	}
	pump_both(client, server, BULK);
	assert_int_equal(kit_connections("one.kit.test"), 1);
	for (int i = 0; i < LAZY; i++) {
		close(clients[i]);
		close(servers[i]);
	}
	pump_both(client, server, BULK / 4);
	close(client);
	close(server);
}

/* Connects that nobody accepts yet: they and their bytes wait. */
static void backlog_waits(void **state)
{
	int clients[700], server;
	char got[4];

	(void)state;
	for (int i = 0; i < 700; i++) { /* the listener's queue holds 512 */
		clients[i] = kit_connect(KIT_ONE, port);
		kit_write(clients[i], "four", 4);
	}
	for (int i = 0; i < 700; i++) {
		server = kit_accept(listener);
		assert_int_equal(kit_read(server, got, 4), 4);
		close(server);
	}
	for (int i = 0; i < 700; i++) {
		assert_int_equal(kit_end_errno(clients[i]), 0);
		close(clients[i]);
	}
}

int main(void)
{
#define WITH_ENGINE(test) cmocka_unit_test_setup_teardown(test, start, stop)
	static const struct CMUnitTest tests[] = {
		WITH_ENGINE(ping),
		WITH_ENGINE(blocking_connect),
		WITH_ENGINE(server_speaks_first),
		WITH_ENGINE(half_close_each_way),
		WITH_ENGINE(bulk_both_ways),
		WITH_ENGINE(many_streams_one_connection),
		WITH_ENGINE(close_unread_resets),
		WITH_ENGINE(write_to_the_gone_fails),
		WITH_ENGINE(listener_gone_refuses),
		WITH_ENGINE(closed_port_refuses),
		WITH_ENGINE(unread_stream_stalls_nobody),
		WITH_ENGINE(many_unread_streams_stall_nobody),
		WITH_ENGINE(backlog_waits),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
