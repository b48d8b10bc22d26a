/* SPDX-License-Identifier: MIT */
/* Four threads write whole lines to one connection, and two read another: nothing is torn or lost. */
#include "harness.h"

#define WRITERS 4
#define LINES 200
#define SIZE 100

static int fd_shared;
static int64_t sum;

static void *writer(void *argument)
{
	char line[SIZE];

	memset(line, 'a' + (int)(intptr_t)argument, sizeof(line));
	for (int i = 0; i < LINES; i++)
		CHECK(write(fd_shared, line, sizeof(line)) == sizeof(line));
	return NULL;
}

static void *reader(void *argument)
{
	char byte[7];
	ssize_t n;

	(void)argument;
	while ((n = read(fd_shared, byte, sizeof(byte))) > 0)
		__atomic_fetch_add(&sum, n, __ATOMIC_RELAXED);
	return NULL;
}

static void server(int fd)
{
	int whole = 0, lines = 0;
	char line[SIZE];

	while (ct_read_full(fd, line, sizeof(line)) == sizeof(line)) {
		bool same = true;

		for (int i = 1; i < SIZE; i++)
			same = same && line[i] == line[0];
		lines++;
		whole += same;
	}
	ct_note("lines %d, whole %d", lines, whole);
	CHECK(ct_send_pattern(fd, 100000, 4) == 100000);
	close(fd);
}

static void client(int fd)
{
	pthread_t threads[WRITERS];

	fd_shared = fd;
	for (int i = 0; i < WRITERS; i++)
		threads[i] = ct_thread(writer, (void *)(intptr_t)i);
	for (int i = 0; i < WRITERS; i++)
		ct_join(threads[i]);
	MUST(shutdown(fd, SHUT_WR));
	for (int i = 0; i < 2; i++)
		threads[i] = ct_thread(reader, NULL);
	for (int i = 0; i < 2; i++)
		ct_join(threads[i]);
	ct_note("read %ld", (long)sum);
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
