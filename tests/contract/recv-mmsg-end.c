/* SPDX-License-Identifier: MIT */
/* recvmmsg at the end of a connection, and with flags and a time limit. */
#include "harness.h"

static char buffers[3][8];
static struct iovec pieces[3];
static struct mmsghdr messages[3];
static pthread_t first;

static void prepare(size_t octets)
{
	memset(buffers, 'x', sizeof(buffers));
	memset(messages, 0, sizeof(messages));
	for (size_t i = 0; i < COUNT(messages); i++) {
		pieces[i] = (struct iovec){buffers[i], octets};
		messages[i].msg_hdr.msg_iov = &pieces[i];
		messages[i].msg_hdr.msg_iovlen = 1;
		messages[i].msg_len = 77;
	}
}

static void show(void)
{
	ct_note("lengths %u %u %u: %.8s %.8s %.8s", messages[0].msg_len, messages[1].msg_len,
		messages[2].msg_len, buffers[0], buffers[1], buffers[2]);
}

static void hang_up(int fd, bool reset)
{
	struct linger none = {.l_onoff = reset};

	MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)));
	close(fd);
}

/* The errno waits behind the data, or comes before it, where it has come already. */
static void end(const char *text, bool reset, bool read_first)
{
	char octet;
	int pair[2];

	ct_note("text %s, reset %d, read first %d", text, reset, read_first);
	ct_pair(pair);
	if (*text) {
		CHECK(write(pair[0], text, strlen(text)) == (ssize_t)strlen(text));
		ct_await(pair[1], POLLIN);
	}
	hang_up(pair[0], reset);
	ct_await(pair[1], reset ? POLLHUP : POLLRDHUP);
	if (read_first)
		TRY(recv(pair[1], &octet, 1, 0));
	prepare(8);
	TRY(recvmmsg(pair[1], messages, 3, 0, NULL));
	show();
	TRY(recvmmsg(pair[1], messages, 3, MSG_DONTWAIT, NULL));
	ct_so_error(pair[1]);
	close(pair[1]);
}

/* A reset that comes between two messages is the next call's. */
static void *reset_later(void *argument)
{
	ct_await_blocked(first);
	hang_up(*(int *)argument, true);
	return NULL;
}

static void reset_between(void)
{
	pthread_t thread;
	int pair[2];

	ct_pair(pair);
	CHECK(write(pair[0], "abc", 3) == 3);
	ct_await(pair[1], POLLIN);
	first = pthread_self();
	thread = ct_thread(reset_later, &pair[0]);
	prepare(3);
	TRY(recvmmsg(pair[1], messages, 3, 0, NULL));
	show();
	ct_join(thread);
	TRY(recvmmsg(pair[1], messages, 3, 0, NULL));
	TRY(recvmmsg(pair[1], messages, 3, 0, NULL));
	close(pair[1]);
}

static void flags(void)
{
	struct timespec none = {0}, wrong = {.tv_nsec = -1}, much = {.tv_sec = 1000};
	int pair[2];

	ct_pair(pair);
	TRY(recvmmsg(pair[1], messages, 3, MSG_DONTWAIT, NULL));
	CHECK(write(pair[0], "abcdefghi", 9) == 9);
	ct_await(pair[1], POLLIN);
	prepare(2);
	TRY(recvmmsg(pair[1], messages, 1, MSG_TRUNC, NULL));
	show();
	prepare(2);
	TRY(recvmmsg(pair[1], messages, 2, MSG_PEEK | MSG_WAITALL, NULL));
	show();
	prepare(2);
	TRY(recvmmsg(pair[1], messages, 3, 0, &none));
	show();
	TRY(recvmmsg(pair[1], messages, 3, 0, &wrong));
	prepare(2);
	TRY(recvmmsg(pair[1], messages, 2, 0, &much));
	show();
	ct_note("time left %d", much.tv_sec > 0 && much.tv_sec < 1000);
	prepare(2);
	TRY(recvmmsg(pair[1], messages, 3, MSG_WAITFORONE, NULL));
	show();
	TRY(recvmmsg(pair[1], messages, 0, 0, NULL));
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	ct_init();
	end("", false, false);
	end("abc", false, false);
	end("", true, false);
	end("abc", true, false);
	end("", true, true);
	reset_between();
	flags();
	return 0;
}
