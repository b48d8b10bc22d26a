/* SPDX-License-Identifier: MIT */
/* O_ASYNC with F_SETSIG: the signal tells the descriptor; also when a connect ends, and for a listener. */
#include "harness.h"

static sigset_t set;

static void ask_for_signals(int fd)
{
	MUST(fcntl(fd, F_SETOWN, getpid()));
	MUST(fcntl(fd, F_SETSIG, SIGRTMIN));
	MUST(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC));
}

/* What is there and not of interest. */
static void forget(void)
{
	struct timespec now = {0};

	while (sigtimedwait(&set, NULL, &now) > 0)
		continue;
}

/* Waits for a signal of FD with one of the bits BAND; others of ALSO may come as well, and no stranger. */
static void await_signal(const char *what, int fd, int also, long band)
{
	struct timespec limit = {.tv_sec = CT_LONG};
	bool strange = false;
	siginfo_t info;

	do {
		if (sigtimedwait(&set, &info, &limit) < 0) {
			ct_note("%s: none", what);
			return;
		}
		strange |= info.si_fd != fd && info.si_fd != also;
	} while (info.si_fd != fd || (info.si_band & band) == 0);
	ct_note("%s: came, strange ones %d", what, strange);
}

int main(void)
{
	struct ct_addr addr, closed;
	int listener, first, second, peer;

	ct_init();
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGIO);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL));
	listener = ct_bound(AF_INET);
	ask_for_signals(listener);
	MUST(listen(listener, 5));
	ct_prove(listener);
	addr = ct_local(listener);
	/* Once on a new connection to the peer, once on one that is up. */
	for (int i = 0; i < 2; i++) {
		first = ct_socket(AF_INET, SOCK_NONBLOCK);
		ask_for_signals(first);
		forget();
		CHECK(connect(first, SA(&addr)) < 0 && errno == EINPROGRESS);
		await_signal("connected", first, listener, POLLOUT);
		ct_so_error(first);
		peer = ct_accept(listener);
		ct_note("accepted: async %d, signal %d", (fcntl(peer, F_GETFL) & O_ASYNC) != 0,
			fcntl(peer, F_GETSIG));
		forget();
		CHECK(write(peer, "x", 1) == 1);
		await_signal("data", first, listener, POLLIN);
		close(peer);
		close(first);
	}
	forget();
	second = ct_socket(AF_INET, 0);
	ask_for_signals(second);
	MUST(connect(second, SA(&addr)));
	ct_prove(second);
	await_signal("listener", listener, second, POLLIN);
	peer = ct_accept(listener);
	forget();
	CHECK(write(peer, "x", 1) == 1);
	await_signal("data of one that blocked", second, listener, POLLIN);
	closed = ct_loopback(AF_INET, ct_closed_port());
	first = ct_socket(AF_INET, SOCK_NONBLOCK);
	ask_for_signals(first);
	forget();
	connect(first, SA(&closed));
	await_signal("refused", first, second, ~0L);
	ct_await(first, POLLOUT);
	ct_so_error(first);
	return 0;
}
