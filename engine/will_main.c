/* SPDX-License-Identifier: MIT */
/* quicshim-will: waits for an engine's end, and tells its peers what the engine can't say any more. */

/*
 * Theory (will.h has the memory, will.c the why). Started by the engine with two descriptors and no
 * environment. It blocks every signal, as it shall outlive whoever is told to end, and sleeps in
 * read() until the pipe ends. Then each packet that is in force goes out ROUNDS times, in case one
 * is lost, from the address that the engine had. Its sockets are connected to the peer and live for
 * one packet: a server that was started anew in that moment loses at most what this peer sent.
 *
 * A server that was started as root may give that up; the will stays with what it began with. So it
 * keeps the one capability that it may need, to bind low ports, and its user: those who share the
 * port must be of one user.
 *
 * Files of a process that is killed are closed one by one: the pipe may end before the engine's
 * sockets are gone, so an address in use is tried again for a while.
 */
#include "will.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 5
#define IN_USE_TRIES 100
#define IN_USE_MS 2

static const unsigned round_ms[ROUNDS] = {0, 40, 80, 160, 320}; /* before each */

static void pause_ms(unsigned ms)
{
	struct timespec ts = {.tv_nsec = (long)ms * 1000000};

	nanosleep(&ts, NULL);
}

static int open_socket(const struct qs_will_words *words)
{
	struct sockaddr_storage local, peer;
	socklen_t len = qs_addr_to_sockaddr(&words->local, words->local.family, &local);
	socklen_t peer_len = qs_addr_to_sockaddr(&words->peer, words->peer.family, &peer);
	int fd = socket(words->local.family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1,
	    rv = 0;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (words->local.family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	/* Without the right to do this the route may still be the same. */
	if (words->mark != 0)
		setsockopt(fd, SOL_SOCKET, SO_MARK, &words->mark, sizeof(words->mark));
	if (words->device[0] != '\0')
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, words->device,
			   (socklen_t)strnlen(words->device, sizeof(words->device)));
	if (bind(fd, (struct sockaddr *)&local, len) < 0 ||
	    connect(fd, (struct sockaddr *)&peer, peer_len) < 0)
		rv = -errno;
	if (rv < 0) {
		close(fd);
		return rv;
	}
	return fd;
}

/* 0 or -errno of what failed before anything was sent. */
static int tell(const struct qs_will_words *words)
{
	int fd = open_socket(words);

	if (fd < 0)
		return fd;
	for (unsigned i = 0; i < words->n && i < QS_WILL_PACKETS; i++) {
		size_t len = words->len[i];

		if (len > 0 && len <= QS_WILL_PACKET_MAX &&
		    send(fd, words->packet[i], len, MSG_NOSIGNAL) < 0) {
			/* Told as well as we could. */
		}
	}
	close(fd);
	return 0;
}

static void tell_all(const struct qs_will_page *page)
{
	uint32_t n = atomic_load_explicit(&page->n, memory_order_acquire);
	unsigned tries = IN_USE_TRIES;

	if (n > QS_WILL_ENTRIES)
		n = QS_WILL_ENTRIES;
	for (uint32_t i = 0; i < n; i++) {
		const struct qs_will_entry *entry = &page->entries[i];
		uint32_t in_force = atomic_load_explicit(&entry->in_force, memory_order_acquire);

		if (in_force != 1 && in_force != 2)
			continue;
		while (tell(&entry->words[in_force - 1]) == -EADDRINUSE && tries > 0) {
			tries--;
			pause_ms(IN_USE_MS);
		}
	}
}

static void give_up_privileges(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}, {0}};

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capget, &header, data) == 0) {
		data[0].permitted &= 1u << CAP_NET_BIND_SERVICE;
		data[0].effective = data[0].permitted;
		data[1].permitted = data[1].effective = 0;
		data[0].inheritable = data[1].inheritable = 0;
		syscall(SYS_capset, &header, data);
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

int main(void)
{
	const struct qs_will_page *page;
	sigset_t all;
	char byte;
	ssize_t n;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, "quicshim-will");
	if (chdir("/") < 0)
		return 1;
	give_up_privileges();
	page = mmap(NULL, QS_WILL_BYTES, PROT_READ, MAP_SHARED, QS_WILL_PAGE_FD, 0);
	if (page == MAP_FAILED || page->magic != QS_WILL_MAGIC)
		return 1;
	do
		n = read(QS_WILL_PIPE_FD, &byte, 1);
	while (n > 0 || (n < 0 && errno == EINTR));
	for (unsigned round = 0; round < ROUNDS; round++) {
		pause_ms(round_ms[round]);
		tell_all(page);
	}
	return 0;
}
