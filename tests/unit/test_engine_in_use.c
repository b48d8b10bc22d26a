// SPDX-License-Identifier: MIT
// A listener's UDP address that somebody has: for a moment, as the last will of a killed server, or for good.
#include "engine_kit_stream.h"

#include <stdatomic.h>
#include <sys/syscall.h>

static int holder = -1; // of the port
static atomic_uint n_refused; // binds
static unsigned held_for; // as many of them

// The engine's too.
int bind(int fd, const struct sockaddr *address, socklen_t len)
{
	long rv = syscall(SYS_bind, fd, address, len);

	if (rv == 0 || errno != EADDRINUSE || address->sa_family != AF_INET)
		return (int)rv;
	if (atomic_fetch_add(&n_refused, 1) + 1 == held_for)
		close(holder);
	errno = EADDRINUSE;
	return -1;
}

static uint16_t hold_port(unsigned binds)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t len = sizeof(sin);

	inet_pton(AF_INET, KIT_ONE, &sin.sin_addr);
	holder = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(holder, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(getsockname(holder, (struct sockaddr *)&sin, &len), 0);
	held_for = binds;
	atomic_store(&n_refused, 0);
	return ntohs(sin.sin_port);
}

// The errno of a listen() on it; an open listener in *fd if 0.
static int try_listen(uint16_t port, int *fd)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct qs_control_req req = kit_request(QS_OP_LISTEN);
	struct qs_control_reply answer;
	int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fds[3];
	int control = kit_channel(QS_CHANNEL_CONTROL, SOCK_SEQPACKET);

	inet_pton(AF_INET, KIT_ONE, &sin.sin_addr);
	assert_int_equal(bind(tcp, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(kit_send_fds(control, &req, sizeof(req), &tcp, 1), sizeof(req));
	assert_int_equal(kit_reply(control, &answer, fds), sizeof(answer));
	close(control);
	close(tcp);
	*fd = fds[0];
	for (int i = 1; i < 3 && answer.error == 0; i++)
		close(fds[i]);
	return answer.error;
}

static void for_a_moment(void **state)
{
	uint16_t port = hold_port(3);
	int fd;

	(void)state;
	kit_start(kit_policy(""));
	assert_int_equal(try_listen(port, &fd), 0);
	assert_int_equal(atomic_load(&n_refused), 3);
	close(fd);
	kit_stop();
}

// Who asks again and again does not stop the engine each time.
static void for_good(void **state)
{
	uint16_t port = hold_port(0), other_port = 0;
	int fd, other;
	unsigned n;

	(void)state;
	kit_start(kit_policy(""));
	other = kit_listen(KIT_TWO, &other_port); // without any the engine would end between two calls
	atomic_store(&n_refused, 0);
	assert_int_equal(try_listen(port, &fd), EADDRINUSE);
	n = atomic_load(&n_refused);
	assert_true(n > 3);
	for (int i = 0; i < 5; i++)
		assert_int_equal(try_listen(port, &fd), EADDRINUSE);
	assert_int_equal(atomic_load(&n_refused), n + 5);
	close(holder);
	close(other);
	kit_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(for_a_moment),
		cmocka_unit_test(for_good),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
