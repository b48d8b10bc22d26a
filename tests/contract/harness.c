/* SPDX-License-Identifier: MIT */
/* The trace, the proof that a socket is mapped, addresses and sockets on loopback. */
#include "harness.h"

#include <stdbool.h>

#include <arpa/inet.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/syscall.h>

#define TIME_LIMIT_S 120
#define NAMED_PORTS 8

static _Thread_local const char *actor = "main";

static struct {
	int port;
	const char *name;
} named_ports[NAMED_PORTS];

void ct_init(void)
{
	alarm(TIME_LIMIT_S);
	signal(SIGPIPE, SIG_IGN);
	errno = 0; /* as it is at the start; a sanitizer that has opened its log says otherwise */
}

void ct_as(const char *name)
{
	actor = name;
}

void ct_note(const char *format, ...)
{
	char line[1024];
	int saved = errno, n, m;
	va_list args;

	n = snprintf(line, sizeof(line), "%s: ", actor);
	va_start(args, format);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, args);
	va_end(args);
	if (m < 0 || n + m > (int)sizeof(line) - 2)
		abort();
	line[n + m] = '\n';
	if (write(STDOUT_FILENO, line, (size_t)(n + m + 1)) != n + m + 1)
		_exit(2);
	errno = saved;
}

long ct_trace(const char *call, long result)
{
	if (result < 0)
		ct_note("%s = %ld %s", call, result, strerrorname_np(errno));
	else
		ct_note("%s = %ld", call, result);
	return result;
}

int ct_must(const char *call, long result, const char *file, int line)
{
	const char *name = strrchr(file, '/');

	if (result >= 0)
		return (int)result;
	fprintf(stderr, "%s:%d: %s: %s failed: %s\n", name != NULL ? name + 1 : file, line, actor,
		call, strerrorname_np(errno));
	exit(2);
}

void ct_skip(const char *why)
{
	fprintf(stderr, "SKIP: %s\n", why);
	exit(77);
}

/*
 * The shim interposes getsockopt and may interpose syscall(2), and would answer for TCP. What the
 * kernel itself thinks of a descriptor takes an instruction of our own.
 */
long ct_raw_getsockopt(int fd, int level, int option, void *value, socklen_t *size)
{
#if defined(__x86_64__)
	register void *r10 __asm__("r10") = value;
	register socklen_t *r8 __asm__("r8") = size;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"((long)SYS_getsockopt), "D"((long)fd), "S"((long)level),
			   "d"((long)option), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return result;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = SYS_getsockopt;
	register long x0 __asm__("x0") = fd;
	register long x1 __asm__("x1") = level;
	register long x2 __asm__("x2") = option;
	register void *x3 __asm__("x3") = value;
	register socklen_t *x4 __asm__("x4") = size;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4)
			 : "memory");
	return x0;
#else
	long result = syscall(SYS_getsockopt, fd, level, option, value, size);

	return result < 0 ? -errno : result;
#endif
}

void ct_prove(int fd)
{
	const char *expect = getenv("QS_EXPECT_MAPPED"), *path = getenv("CT_PROOF");
	bool want = expect != NULL && strcmp(expect, "1") == 0;
	int domain = -1, saved = errno, proof;
	socklen_t size = sizeof(domain);
	long result = ct_raw_getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);

	if (expect != NULL && strcmp(expect, "any") == 0)
		want = domain == AF_UNIX;
	if (result < 0 || (domain == AF_UNIX) != want) {
		fprintf(stderr, "%s: descriptor %d: domain %d (%s), but should be %s\n", actor, fd,
			domain, result < 0 ? strerrorname_np((int)-result) : "socket",
			want ? "mapped" : "TCP");
		_exit(3);
	}
	/* The runner counts these, so that no mapped test can pass without one mapped socket. */
	if (path != NULL) {
		proof = MUST(open(path, O_WRONLY | O_APPEND | O_CLOEXEC));
		CHECK(write(proof, "+", 1) == 1);
		close(proof);
	}
	errno = saved;
}

const char *ct_event_names(uint32_t events)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {
		{POLLIN, "IN"},	  {POLLPRI, "PRI"},   {POLLOUT, "OUT"},	    {POLLERR, "ERR"},
		{POLLHUP, "HUP"}, {POLLNVAL, "NVAL"}, {POLLRDHUP, "RDHUP"},
	};
	static _Thread_local char texts[4][64];
	static _Thread_local unsigned turn;
	char *text = texts[turn++ % 4];

	text[0] = '\0';
	for (size_t i = 0; i < COUNT(names); i++) {
		if ((events & names[i].bit) == 0)
			continue;
		if (text[0] != '\0')
			strcat(text, "|");
		strcat(text, names[i].name);
	}
	return text[0] != '\0' ? text : "-";
}

void ct_poll(int fd, short want, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = want};
	int n = poll(&p, 1, timeout_ms);

	if (n < 0)
		ct_note("poll(%s) = %d %s", ct_event_names((uint32_t)want), n,
			strerrorname_np(errno));
	else
		ct_note("poll(%s) = %d %s", ct_event_names((uint32_t)want), n,
			ct_event_names((uint32_t)p.revents));
}

void ct_events(int fd, short want)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLPRI | POLLOUT | POLLRDHUP};

	/* Level events that are there together need not come together: wait until all are. */
	for (int i = 0; i < CT_LONG_MS; i++) {
		MUST(poll(&p, 1, 0));
		if ((p.revents & want) == want)
			break;
		usleep(1000);
	}
	ct_note("events %s: %s", ct_event_names((uint32_t)want),
		ct_event_names((uint32_t)p.revents));
}

void ct_await(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	CHECK(poll(&p, 1, CT_LONG_MS) == 1);
}

void ct_so_error(int fd)
{
	int error = -1;
	socklen_t size = sizeof(error);
	int result = getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);

	if (result != 0)
		ct_note("SO_ERROR: getsockopt = %d %s", result, strerrorname_np(errno));
	else
		ct_note("SO_ERROR: %s", error == 0 ? "0" : strerrorname_np(error));
}

void ct_name_port(int port, const char *name)
{
	for (int i = 0; i < NAMED_PORTS; i++) {
		if (named_ports[i].name == NULL || named_ports[i].port == port) {
			named_ports[i].port = port;
			named_ports[i].name = name;
			return;
		}
	}
	abort();
}

const char *ct_addr_text(const struct ct_addr *addr)
{
	static _Thread_local char texts[4][INET6_ADDRSTRLEN + 40];
	static _Thread_local unsigned turn;
	char *text = texts[turn++ % 4], host[INET6_ADDRSTRLEN];
	int port = ct_addr_port(addr);
	const char *name = port == 0 ? "0" : "PORT";
	const void *raw;

	if (addr->ss.ss_family == AF_INET)
		raw = &((const struct sockaddr_in *)&addr->ss)->sin_addr;
	else if (addr->ss.ss_family == AF_INET6)
		raw = &((const struct sockaddr_in6 *)&addr->ss)->sin6_addr;
	else {
		sprintf(text, "family %d, length %u", addr->ss.ss_family, (unsigned)addr->len);
		return text;
	}
	for (int i = 0; i < NAMED_PORTS && port != 0; i++) {
		if (named_ports[i].name != NULL && named_ports[i].port == port)
			name = named_ports[i].name;
	}
	inet_ntop(addr->ss.ss_family, raw, host, sizeof(host));
	snprintf(text, sizeof(texts[0]), addr->ss.ss_family == AF_INET ? "%s:%s" : "[%s]:%s", host,
		 name);
	return text;
}

struct ct_addr ct_addr_of(const char *text, int port)
{
	struct ct_addr addr = {.len = 0};
	struct sockaddr_in *in = (struct sockaddr_in *)&addr.ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr.ss;

	if (strchr(text, ':') == NULL) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		CHECK(inet_pton(AF_INET, text, &in->sin_addr) == 1);
		addr.len = sizeof(*in);
	} else {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)port);
		CHECK(inet_pton(AF_INET6, text, &in6->sin6_addr) == 1);
		addr.len = sizeof(*in6);
	}
	return addr;
}

struct ct_addr ct_loopback(int family, int port)
{
	return ct_addr_of(family == AF_INET ? "127.0.0.1" : "::1", port);
}

struct ct_addr ct_local(int fd)
{
	struct ct_addr addr = {.len = sizeof(addr.ss)};

	MUST(getsockname(fd, (struct sockaddr *)&addr.ss, &addr.len));
	return addr;
}

struct ct_addr ct_remote(int fd)
{
	struct ct_addr addr = {.len = sizeof(addr.ss)};

	MUST(getpeername(fd, (struct sockaddr *)&addr.ss, &addr.len));
	return addr;
}

int ct_addr_port(const struct ct_addr *addr)
{
	if (addr->ss.ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)&addr->ss)->sin_port);
	if (addr->ss.ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)&addr->ss)->sin6_port);
	return 0;
}

int ct_port(int fd)
{
	struct ct_addr addr = ct_local(fd);

	return ct_addr_port(&addr);
}

int ct_socket(int family, int flags)
{
	return MUST(socket(family, SOCK_STREAM | flags, 0));
}

/* A mapped listener needs the UDP port of the same number, which other tests may have. */
static bool udp_is_free(struct ct_addr *addr)
{
	int fd = socket(addr->ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool is_free = fd >= 0 && bind(fd, SA(addr)) == 0;

	if (fd >= 0)
		close(fd);
	return is_free;
}

int ct_bound(int family)
{
	for (int tries = 0;; tries++) {
		struct ct_addr addr = ct_loopback(family, 0);
		int fd = ct_socket(family, 0);

		MUST(bind(fd, SA(&addr)));
		addr = ct_local(fd);
		if (udp_is_free(&addr) || tries == 10)
			return fd;
		close(fd);
	}
}

int ct_listener(int family, int backlog)
{
	int fd = ct_bound(family);

	MUST(listen(fd, backlog));
	ct_prove(fd);
	return fd;
}

int ct_connect(int family, int port)
{
	struct ct_addr addr = ct_loopback(family, port);
	int fd = ct_socket(family, 0);

	MUST(connect(fd, SA(&addr)));
	ct_prove(fd);
	return fd;
}

int ct_accept(int listener)
{
	int fd = MUST(accept(listener, NULL, NULL));

	ct_prove(fd);
	return fd;
}

int ct_closed_port(void)
{
	/* Bound but not listening: refuses, and nobody else can take the port. */
	return ct_port(ct_bound(AF_INET));
}

void ct_refused(const struct ct_addr *addr)
{
	int fd = ct_socket(addr->ss.ss_family, 0), result;
	char byte;

	result = connect(fd, (const struct sockaddr *)&addr->ss, addr->len);
	if (result == 0)
		result = (int)read(fd, &byte, 1);
	ct_note("refused: %d", result == -1 && (errno == ECONNREFUSED || errno == ECONNRESET));
	close(fd);
}

void ct_pair(int pair[2])
{
	int listener = ct_listener(AF_INET, 1);

	pair[0] = ct_connect(AF_INET, ct_port(listener));
	pair[1] = ct_accept(listener);
	close(listener);
}
