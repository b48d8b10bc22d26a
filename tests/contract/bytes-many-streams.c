/* SPDX-License-Identifier: MIT */
/* Twenty connections at once, half a megabyte each way on each, content compared. */
#include "harness.h"

#define STREAMS 20
#define TOTAL (512 << 10)

struct stream {
	int fd;
	uint64_t seed;
};

static void *echo(void *argument)
{
	const struct stream *stream = argument;

	CHECK(ct_recv_pattern(stream->fd, TOTAL, stream->seed) == TOTAL);
	CHECK(ct_send_pattern(stream->fd, TOTAL, stream->seed + 100) == TOTAL);
	close(stream->fd);
	return NULL;
}

static void *talk(void *argument)
{
	const struct stream *stream = argument;
	bool right;

	CHECK(ct_write_full(stream->fd, &stream->seed, 8) == 8);
	CHECK(ct_send_pattern(stream->fd, TOTAL, stream->seed) == TOTAL);
	right = ct_recv_pattern(stream->fd, TOTAL, stream->seed + 100) == TOTAL &&
		read(stream->fd, (char[8]){0}, 1) == 0;
	close(stream->fd);
	return (void *)(intptr_t)right;
}

static void server(int listener)
{
	struct stream streams[STREAMS];
	pthread_t threads[STREAMS];

	for (int i = 0; i < STREAMS; i++) {
		streams[i].fd = ct_accept(listener);
		CHECK(ct_read_full(streams[i].fd, &streams[i].seed, 8) == 8);
		threads[i] = ct_thread(echo, &streams[i]);
	}
	for (int i = 0; i < STREAMS; i++)
		ct_join(threads[i]);
}

static void client(int port)
{
	struct stream streams[STREAMS];
	pthread_t threads[STREAMS];
	int right = 0;
	void *result;

	for (int i = 0; i < STREAMS; i++) {
		streams[i] = (struct stream){ct_connect(AF_INET, port), (uint64_t)i};
		threads[i] = ct_thread(talk, &streams[i]);
	}
	for (int i = 0; i < STREAMS; i++) {
		pthread_join(threads[i], &result);
		right += (int)(intptr_t)result;
	}
	ct_note("%d right", right);
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
