/* SPDX-License-Identifier: MIT */
/* Writing when the peer has closed: EPIPE and SIGPIPE, MSG_NOSIGNAL honoured, default kills. */
#include "harness.h"

static volatile sig_atomic_t pipes;

static void count(int number)
{
	(void)number;
	pipes++;
}

static void write_until_error(int fd, int flags, const char *name)
{
	int error = 0;

	/* TCP learns of it by the answer to the first write. */
	for (int i = 0; i < CT_LONG_MS && error == 0; i++) {
		if (send(fd, "x", 1, flags) < 0)
			error = errno;
		else
			usleep(1000);
	}
	ct_note("%s: %s, signals %d", name, strerrorname_np(error), (int)pipes);
}

int main(void)
{
	struct sigaction action = {.sa_handler = count};
	int pair[2], status;
	pid_t pid;

	ct_init();
	MUST(sigaction(SIGPIPE, &action, NULL));
	ct_pair(pair);
	close(pair[1]);
	ct_events(pair[0], POLLIN | POLLRDHUP);
	write_until_error(pair[0], MSG_NOSIGNAL, "nosignal");
	write_until_error(pair[0], 0, "signal");
	TRY(write(pair[0], "x", 1));
	ct_note("signals %d", (int)pipes);
	TRY(writev(pair[0], &(struct iovec){&status, 1}, 1));
	ct_note("signals %d", (int)pipes);
	close(pair[0]);

	ct_pair(pair);
	TRY(shutdown(pair[0], SHUT_WR));
	TRY(write(pair[0], "x", 1));
	TRY(send(pair[0], "x", 1, MSG_NOSIGNAL));
	ct_note("signals %d", (int)pipes);

	ct_pair(pair);
	pid = ct_fork("child");
	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		close(pair[1]);
		ct_await(pair[0], POLLRDHUP);
		for (int i = 0; i < CT_LONG_MS; i++) {
			CHECK(write(pair[0], "x", 1) == 1);
			usleep(1000);
		}
		_exit(0);
	}
	close(pair[1]);
	CHECK(waitpid(pid, &status, 0) == pid);
	ct_note("child ended by signal %d", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	return 0;
}
