// SPDX-License-Identifier: MIT
// The trap around an engine's connections, by faults of our own: the connection at fault dies, all
// others go on.
//
// This program stands before ngtcp2's functions, as it stands before libc's __assert_fail and abort
// (as the helper program and the shim do). When armed, the k-th call for a connection to the first
// of two servers fails as an assertion does.
#include "engine_kit_stream.h"

#include "engine/trap.h"

#include <dlfcn.h>
#include <ngtcp2/ngtcp2_crypto.h>

#define EXPORT __attribute__((visibility("default")))

/* --- what the shim and the helper program export --- */

EXPORT void __assert_fail(const char *assertion, const char *file, unsigned line,
			  const char *function) __attribute__((noreturn));
EXPORT void abort(void) __attribute__((noreturn));

void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function)
{
	char what[128];

	snprintf(what, sizeof(what), "%s:%u: %s: %s", file, line, function, assertion);
	qs_trap_catch(what);
	fprintf(stderr, "outside of a trap: %s\n", what);
	_exit(99);
}

void abort(void)
{
	qs_trap_catch("abort");
	fprintf(stderr, "abort outside of a trap\n");
	_exit(98);
}

/* --- the faults --- */

enum where { READ, WRITE, EXPIRY, ENCRYPT, DECRYPT, EXTEND, SHUTDOWN, OPEN, CLOSE };
static struct {
	_Atomic bool armed;
	enum where where;
	bool server, with_abort;
	int countdown;
} fault;

static void arm(enum where where, bool server, bool with_abort, int countdown)
{
	fault.where = where;
	fault.server = server;
	fault.with_abort = with_abort;
	fault.countdown = countdown;
	atomic_store(&fault.armed, true);
}

static bool fired(void)
{
	return !atomic_load(&fault.armed);
}

/* On the engine thread: fails if this call is the one. */
static void maybe_fail(enum where where, const ngtcp2_conn *quic)
{
	struct qs_conn *conn;

	if (!atomic_load(&fault.armed) || fault.where != where)
		return;
	TAILQ_FOREACH(conn, &kit_engine.conns, link_all)
	{
		if (conn->quic == quic)
			break;
	}
	if (conn == NULL || conn->server != fault.server ||
	    strcmp(conn->sni, "one.kit.test") != 0 || --fault.countdown > 0)
		return;
	atomic_store(&fault.armed, false);
	if (fault.with_abort)
		abort();
	__assert_fail("a fault of our own", __FILE__, __LINE__, __func__);
}

/* What a poisoned connection leaks, it leaks on purpose. */
EXPORT const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:ngtcp2_conn_client_new\nleak:ngtcp2_conn_server_new\nleak:libngtcp2\nleak:"
	       "libgnutls\n";
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Whose call runs: for the callbacks, which are not told. */
static _Thread_local const ngtcp2_conn *inside;

#define ENTER(where, conn)                                                                         \
	do {                                                                                       \
		inside = (conn);                                                                   \
		maybe_fail(where, conn);                                                           \
	} while (0)

int ngtcp2_conn_read_pkt_versioned(ngtcp2_conn *conn, const ngtcp2_path *path, int version,
				   const ngtcp2_pkt_info *pi, const uint8_t *pkt, size_t len,
				   ngtcp2_tstamp ts)
{
	ENTER(READ, conn);
	return REAL(ngtcp2_conn_read_pkt_versioned)(conn, path, version, pi, pkt, len, ts);
}

ngtcp2_ssize ngtcp2_conn_writev_stream_versioned(ngtcp2_conn *conn, ngtcp2_path *path, int version,
						 ngtcp2_pkt_info *pi, uint8_t *dest, size_t destlen,
						 ngtcp2_ssize *taken, uint32_t flags, int64_t id,
						 const ngtcp2_vec *datav, size_t n,
						 ngtcp2_tstamp ts)
{
	ENTER(WRITE, conn);
	return REAL(ngtcp2_conn_writev_stream_versioned)(conn, path, version, pi, dest, destlen,
							 taken, flags, id, datav, n, ts);
}

int ngtcp2_conn_handle_expiry(ngtcp2_conn *conn, ngtcp2_tstamp ts)
{
	ENTER(EXPIRY, conn);
	return REAL(ngtcp2_conn_handle_expiry)(conn, ts);
}

int ngtcp2_conn_extend_max_stream_offset(ngtcp2_conn *conn, int64_t id, uint64_t datalen)
{
	ENTER(EXTEND, conn);
	return REAL(ngtcp2_conn_extend_max_stream_offset)(conn, id, datalen);
}

int ngtcp2_conn_shutdown_stream(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t code)
{
	ENTER(SHUTDOWN, conn);
	return REAL(ngtcp2_conn_shutdown_stream)(conn, flags, id, code);
}

int ngtcp2_conn_open_bidi_stream(ngtcp2_conn *conn, int64_t *id, void *user_data)
{
	ENTER(OPEN, conn);
	return REAL(ngtcp2_conn_open_bidi_stream)(conn, id, user_data);
}

ngtcp2_ssize ngtcp2_conn_write_connection_close_versioned(ngtcp2_conn *conn, ngtcp2_path *path,
							  int version, ngtcp2_pkt_info *pi,
							  uint8_t *dest, size_t destlen,
							  const ngtcp2_ccerr *error,
							  ngtcp2_tstamp ts)
{
	ENTER(CLOSE, conn);
	return REAL(ngtcp2_conn_write_connection_close_versioned)(conn, path, version, pi, dest,
								  destlen, error, ts);
}

/* These are called by ngtcp2 itself: its frames lie between the trap and the fault. */
int ngtcp2_crypto_encrypt_cb(uint8_t *dest, const ngtcp2_crypto_aead *aead,
			     const ngtcp2_crypto_aead_ctx *ctx, const uint8_t *plain,
			     size_t plainlen, const uint8_t *nonce, size_t noncelen,
			     const uint8_t *aad, size_t aadlen)
{
	maybe_fail(ENCRYPT, inside);
	return REAL(ngtcp2_crypto_encrypt_cb)(dest, aead, ctx, plain, plainlen, nonce, noncelen,
					      aad, aadlen);
}

int ngtcp2_crypto_decrypt_cb(uint8_t *dest, const ngtcp2_crypto_aead *aead,
			     const ngtcp2_crypto_aead_ctx *ctx, const uint8_t *cipher,
			     size_t cipherlen, const uint8_t *nonce, size_t noncelen,
			     const uint8_t *aad, size_t aadlen)
{
	maybe_fail(DECRYPT, inside);
	return REAL(ngtcp2_crypto_decrypt_cb)(dest, aead, ctx, cipher, cipherlen, nonce, noncelen,
					      aad, aadlen);
}

/* --- the tests --- */

/* Connections whose peer was poisoned learn of it by their idle timeout. */
#define POLICY kit_policy("idle-timeout = 500ms\nkeep-alive = 100ms\n")

static int listeners[2];
static uint16_t ports[2];
static int client[2], server[2];

/* Two connections with a stream each. */
static int start(void **state)
{
	(void)state;
	kit_start(POLICY);
	for (int i = 0; i < 2; i++) {
		const char *ip = i ? KIT_TWO : KIT_ONE;

		ports[i] = 0;
		listeners[i] = kit_listen(ip, &ports[i]);
		kit_pair(ip, ports[i], listeners[i], &client[i], &server[i]);
		kit_ping(client[i], server[i], 'a');
	}
	return 0;
}

static int stop(void **state)
{
	(void)state;
	atomic_store(&fault.armed, false);
	for (int i = 0; i < 2; i++) {
		close(listeners[i]);
		close(client[i]);
		close(server[i]);
	}
	kit_stop();
	return 0;
}

/* The end of one side: with an errno that TCP can give. */
static void ends_with_errno(int fd)
{
	char buf[4096];

	KIT_UNTIL(kit_slot(fd)->state == QS_SLOT_ENDED);
	while (kit_read(fd, buf, sizeof(buf)) > 0)
		;
	assert_true(kit_slot(fd)->error == ETIMEDOUT || kit_slot(fd)->error == ECONNRESET);
}

/* After the fault: counted once, the other connection works, and new streams can be had. */
static void others_go_on(void)
{
	int a, b;

	kit_ping(client[1], server[1], 'b');
	assert_int_equal(kit_status()->head.totals.faults_trapped, 1);
	kit_pair(KIT_TWO, ports[1], listeners[1], &a, &b);
	kit_ping(a, b, 'c');
	close(a);
	close(b);
}

/* The same for the address whose connection died. */
static void comes_back(void)
{
	int a, b;

	kit_pair(KIT_ONE, ports[0], listeners[0], &a, &b);
	kit_ping(a, b, 'd');
	close(a);
	close(b);
	kit_ping(client[1], server[1], 'e');
	assert_int_equal(kit_status()->head.totals.faults_trapped, 1);
}

static const struct fault_case {
	enum where where;
	bool server, with_abort;
	int countdown;
} cases[] = {
	{READ, false, false, 1},    {READ, true, true, 3},     {WRITE, false, true, 3},
	{WRITE, true, false, 2},    {EXPIRY, false, false, 1}, {EXPIRY, true, true, 1},
	{ENCRYPT, false, false, 2}, {ENCRYPT, true, true, 1},  {DECRYPT, true, false, 2},
	{DECRYPT, false, true, 1},  {EXTEND, false, true, 1},  {EXTEND, true, false, 3},
};

/* The streams of the connection at fault end with an errno, at once on its own side, after the idle
 * timeout on the peer's. */
static void connection_at_fault_dies(void **state)
{
	const struct fault_case *c = *state;
	int near = c->server ? server[0] : client[0], far = c->server ? client[0] : server[0];
	uint64_t begin;

	arm(c->where, c->server, c->with_abort, c->countdown);
	for (uint64_t end = kit_now_ms() + KIT_MS_MAX; !fired() && kit_now_ms() < end;
	     kit_pause()) {
		send(client[0], "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		send(server[0], "y", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	assert_true(fired());
	begin = kit_now_ms();
	ends_with_errno(near);
	assert_true(kit_now_ms() - begin < 500);
	others_go_on();
	if (c->with_abort)
		return; /* seen often enough */
	ends_with_errno(far);
	comes_back();
}

/* An app closes with data unread, and the reset of its stream fails. */
static void fault_in_reset(void **state)
{
	struct pollfd pfd = {.fd = server[0], .events = POLLIN};

	(void)state;
	kit_write(client[0], "unread", 6);
	assert_int_equal(poll(&pfd, 1, KIT_MS_MAX), 1);
	arm(SHUTDOWN, true, false, 1);
	close(server[0]);
	KIT_UNTIL(fired());
	others_go_on();
	ends_with_errno(client[0]);
	comes_back();
	server[0] = dup(server[1]);
}

/* The opening of a stream fails on a connection that is open: so does connect(), or it gets another
 * connection. */
static void fault_in_open(void **state)
{
	int fd, error;

	(void)state;
	arm(OPEN, false, false, 1);
	fd = kit_connect_start(KIT_ONE, ports[0]);
	error = kit_connect_finish(fd);
	assert_true(fired());
	assert_true(error == 0 || error == ECONNREFUSED || error == ETIMEDOUT);
	close(fd);
	ends_with_errno(client[0]);
	others_go_on();
	ends_with_errno(server[0]);
	if (error == 0)
		close(kit_accept(listeners[0]));
	comes_back();
}

/* No connection to the first server is left, and client[0] and server[0] are something else to
 * close. */
static void let_go(void)
{
	close(client[0]);
	close(server[0]);
	client[0] = dup(client[1]);
	server[0] = dup(server[1]);
	KIT_UNTIL(kit_connections("one.kit.test") == 0);
}

/* The idle connection is closed in good order, and that fails. */
static void fault_in_close(void **state)
{
	(void)state;
	arm(CLOSE, false, true, 1);
	let_go();
	assert_true(fired());
	others_go_on();
	comes_back();
}

/* The first packet from the server meets the fault: connect() fails, and the next one works. */
static void fault_in_handshake(void **state)
{
	int fd;

	(void)state;
	let_go();
	arm(READ, false, false, 1);
	fd = kit_connect_start(KIT_ONE, ports[0]);
	assert_int_equal(kit_connect_finish(fd), ECONNREFUSED);
	close(fd);
	others_go_on();
	comes_back();
}

/* Several wait for the handshake, and the opening of the second one's stream fails: each connect
 * ends in one way or the other. */
static void fault_in_open_after_handshake(void **state)
{
	int fds[4];

	(void)state;
	let_go();
	arm(OPEN, false, true, 2);
	for (int i = 0; i < 4; i++)
		fds[i] = kit_connect_start(KIT_ONE, ports[0]);
	for (int i = 0; i < 4; i++) {
		int error = kit_connect_finish(fds[i]);

		assert_true(error == 0 || error == ECONNREFUSED || error == ETIMEDOUT);
	}
	assert_true(fired());
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	others_go_on();
	for (;;) { /* what those may have brought to the listener */
		int fd = accept4(listeners[0], NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			break;
		close(fd);
	}
	comes_back();
}

static void symbols_are_ours(void **state)
{
	(void)state;
	assert_ptr_equal(dlsym(RTLD_DEFAULT, "__assert_fail"), __assert_fail);
	assert_ptr_equal(dlsym(RTLD_DEFAULT, "abort"), abort);
}

int main(void)
{
	enum { CASES = sizeof(cases) / sizeof(cases[0]) };
	static char names[CASES][64];
	static const char *const where_names[] = {"read",    "write",	"expiry",
						  "encrypt", "decrypt", "extend"};
	struct CMUnitTest tests[CASES + 6] = {
		cmocka_unit_test(symbols_are_ours),
		cmocka_unit_test_setup_teardown(fault_in_close, start, stop),
		cmocka_unit_test_setup_teardown(fault_in_reset, start, stop),
	};

	for (int i = 0; i < CASES; i++) {
		snprintf(names[i], sizeof(names[i]), "fault_in_%s_of_%s_by_%s",
			 where_names[cases[i].where], cases[i].server ? "server" : "client",
			 cases[i].with_abort ? "abort" : "assert");
		tests[3 + i] = (struct CMUnitTest){.name = names[i],
						   .test_func = connection_at_fault_dies,
						   .setup_func = start,
						   .teardown_func = stop,
						   .initial_state = (void *)(uintptr_t)&cases[i]};
	}
	tests[3 + CASES] =
		(struct CMUnitTest)cmocka_unit_test_setup_teardown(fault_in_handshake, start, stop);
	tests[4 + CASES] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(
		fault_in_open_after_handshake, start, stop);
	tests[5 + CASES] =
		(struct CMUnitTest)cmocka_unit_test_setup_teardown(fault_in_open, start, stop);
	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
