/* SPDX-License-Identifier: MIT */
/* Sockets of both sides passed to a program that has an engine of its own: they work there, and do no harm to those of its
 * own engine. */
#include "harness.h"

#define SA_OUT(a) (struct sockaddr *)&(a)->ss, &(a)->len

static void names(int fd, const char *what)
{
	struct ct_addr addr = {.len = sizeof(addr.ss)};

	if (getsockname(fd, SA_OUT(&addr)) < 0)
		ct_note("%s: no local name: %s", what, strerrorname_np(errno));
	else
		ct_note("%s: local %s", what, ct_addr_text(&addr));
	addr.len = sizeof(addr.ss);
	if (getpeername(fd, SA_OUT(&addr)) < 0)
		ct_note("%s: no remote name: %s", what, strerrorname_np(errno));
	else
		ct_note("%s: remote %s", what, ct_addr_text(&addr));
}

static void option(int fd, const char *what, int name, const char *text)
{
	int value = -1;
	socklen_t size = sizeof(value);
	int rc = getsockopt(fd, IPPROTO_TCP, name, &value, &size);

	ct_note("%s: %s %d, %d", what, text, rc, value);
}

/* A word goes to the other end, and its answer comes back. */
static void use(int fd, const char *what)
{
	int one = 1, kind = 0;
	socklen_t size = sizeof(kind);
	char word[8] = "";

	ct_prove(fd);
	names(fd, what);
	TRY(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &kind, &size));
	ct_note("AF_INET %d", kind == AF_INET);
	option(fd, what, TCP_NODELAY, "TCP_NODELAY");
	option(fd, what, TCP_KEEPIDLE, "TCP_KEEPIDLE");
	TRY(setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one)));
	ct_so_error(fd);
	TRY(ct_write_full(fd, "there", 5));
	CHECK(ct_read_full(fd, word, 5) == 5);
	ct_note("%s: %s", what, word);
	CHECK(write(STDIN_FILENO, "", 1) == 1);
}

static void be_receiver(void)
{
	int own[2], client, accepted, port;
	ssize_t n;

	ct_as("receiver");
	CHECK(read(STDIN_FILENO, &port, sizeof(port)) == sizeof(port));
	ct_name_port(port, "SERVER");
	ct_pair(own);
	client = ct_take(STDIN_FILENO);
	use(client, "client");
	accepted = ct_take(STDIN_FILENO);
	use(accepted, "accepted");
	/* The other ends: a shutdown for the one, a reset for the other. */
	TRY(read(client, (char[1]){0}, 1));
	ct_await(accepted, POLLIN);
	n = read(accepted, (char[1]){0}, 1);
	ct_note("after the reset: %s", n < 0 ? strerrorname_np(errno) : "an end");
	TRY(ct_write_full(own[0], "own", 3));
	TRY(ct_read_full(own[1], (char[3]){0}, 3));
	exit(0);
}

/* The other end of what was passed over `channel`. Returns when the answer was read. */
static void answer(int fd, int channel)
{
	char word[8] = "";

	CHECK(ct_read_full(fd, word, 5) == 5);
	ct_note("%s", word);
	TRY(ct_write_full(fd, "back!", 5));
	CHECK(read(channel, word, 1) == 1);
}

int main(void)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	int channel[2], listener, port, idle = 44, one = 1, first[2], second[2];
	pid_t pid;

	ct_init();
	if (ct_role() != NULL)
		be_receiver();
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel));
	pid = ct_fork("receiver");
	if (pid == 0) {
		MUST(dup2(channel[1], STDIN_FILENO));
		unsetenv("QUICSHIM_ENGINE");
		ct_exec_self("receiver");
	}
	listener = ct_listener(AF_INET, 5);
	port = ct_port(listener);
	ct_name_port(port, "SERVER");
	CHECK(write(channel[0], &port, sizeof(port)) == sizeof(port));
	first[0] = ct_connect(AF_INET, port);
	first[1] = ct_accept(listener);
	second[0] = ct_connect(AF_INET, port);
	second[1] = ct_accept(listener);
	MUST(setsockopt(first[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	MUST(setsockopt(second[1], IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle)));
	ct_give(channel[0], first[0]);
	TRY(close(first[0]));
	answer(first[1], channel[0]);
	ct_give(channel[0], second[1]);
	TRY(close(second[1]));
	answer(second[0], channel[0]);
	TRY(shutdown(first[1], SHUT_WR));
	MUST(setsockopt(second[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	TRY(close(second[0]));
	ct_reap(pid);
	return 0;
}
