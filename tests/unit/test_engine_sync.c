// SPDX-License-Identifier: MIT
// Who returns from listen() is known to all that share the port: a sibling that reads slowly is waited for.
#include "engine_kit.h"
#include "group_kit.h"

#include <stdatomic.h>

#define SLOW_NS                                                                                    \
	(30 * QS_MSEC) // between two looks of the sibling; no bound of the test depends on it

static struct party sibling;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool stop;

static void *look_slowly(void *argument)
{
	(void)argument;
	while (!atomic_load(&stop)) {
		nanosleep(&(struct timespec){.tv_nsec = SLOW_NS}, NULL);
		pthread_mutex_lock(&lock);
		party_turn(&sibling);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

// How many listeners the sibling knows that take clients.
static unsigned n_known(void)
{
	const struct qs_link *link;
	unsigned n = 0;

	pthread_mutex_lock(&lock);
	TAILQ_FOREACH(link, &sibling.member->links, link)
	{
		for (unsigned i = 0; i < link->n_serves; i++)
			n += !link->serves[i].tentative;
	}
	pthread_mutex_unlock(&lock);
	return n;
}

static uint16_t bind_any(int type, uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0)
		sin.sin_port = 0;
	else
		getsockname(fd, (struct sockaddr *)&sin, &len);
	close(fd);
	return ntohs(sin.sin_port);
}

// A port that neither a TCP nor a UDP socket has.
static uint16_t free_port(void)
{
	uint16_t port;

	do {
		port = bind_any(SOCK_DGRAM, 0);
	} while (bind_any(SOCK_STREAM, port) != port);
	return port;
}

static void listen_waits_until_it_is_known(void **state)
{
	uint16_t port = free_port();
	pthread_t thread;
	int one;

	(void)state;
	party_join(&sibling,
		   (struct qs_addr){.family = AF_INET, .port = port, .ip = {127, 0, 0, 2}});
	pthread_create(&thread, NULL, look_slowly, NULL);
	kit_start(kit_policy(""));
	one = kit_listen(KIT_ONE, &port);
	assert_int_equal(n_known(), 1);
	close(one);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	party_leave(&sibling);
	kit_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listen_waits_until_it_is_known),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
