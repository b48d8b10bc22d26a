// SPDX-License-Identifier: MIT
/*
 * A network path of our own: joins two network namespaces by a TUN device each and forwards IP
 * packets between them with a rate, a delay, loss, reordering and duplication that a seed repeats.
 *
 * Why not tc: it is a module that test machines may lack, and its randomness can't be repeated.
 *
 * Each direction is one link: a packet that arrives first waits for the wire (rate: a packet leaves
 * when the ones before it have; what would wait longer than the queue allows is dropped at the
 * tail, as a router does), then travels (delay). Loss, doubling and reordering are drawn for each
 * packet, in the order of arrival, from a generator of its own for each direction, so traffic one
 * way does not change what happens the other way. A reordered packet travels up to 10 ms or an
 * eighth of the delay longer, whichever is more, so that later ones overtake it.
 *
 * Signals: SIGUSR1 cuts the path (packets vanish), SIGUSR2 mends it. SIGTERM and SIGINT end it; the
 * devices go with the process. On its end it prints one JSON line of counters. Prints "ready" when
 * the devices exist. Must be root. Limits: one thread, a system call or two a packet, so about
 * 1 Gbit/s at 1,500 bytes.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PACKET_CAP 65536
#define SECOND_NS 1000000000ull

struct packet {
	uint64_t due_ns;
	uint64_t order; /* packets that are due at once leave as they came */
	size_t len;
	unsigned char data[];
};

/* One direction: a heap of packets on their way, by due time. */
struct link {
	int in, out;
	uint64_t wire_free_ns;
	uint64_t order;
	uint64_t random;
	struct packet **heap;
	size_t count, cap;
	uint64_t forwarded, lost, tail_dropped, cut, doubled, reordered, bytes;
};

static struct {
	double delay_ms, rate_mbit, loss, reorder, duplicate, queue_ms;
	uint64_t seed;
	const char *ns[2], *dev;
} options = {.queue_ms = 100, .seed = 1, .dev = "qs0"};

static volatile sig_atomic_t ending, cut;

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		cut = 1;
	else if (sig == SIGUSR2)
		cut = 0;
	else
		ending = 1;
}

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

/* splitmix64: small, and the same everywhere */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static int draw_percent(struct link *link, double percent)
{
	return (double)(draw(&link->random) >> 11) / (double)(1ull << 53) * 100 < percent;
}

static int before(const struct packet *a, const struct packet *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void heap_add(struct link *link, struct packet *p)
{
	size_t i;

	if (link->count == link->cap) {
		link->cap = link->cap ? link->cap * 2 : 1024;
		link->heap = realloc(link->heap, link->cap * sizeof(*link->heap));
		if (!link->heap)
			abort();
	}
	for (i = link->count++; i > 0 && before(p, link->heap[(i - 1) / 2]); i = (i - 1) / 2)
		link->heap[i] = link->heap[(i - 1) / 2];
	link->heap[i] = p;
}

static struct packet *heap_take(struct link *link)
{
	struct packet *top = link->heap[0], *last = link->heap[--link->count];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < link->count) {
		if (child + 1 < link->count && before(link->heap[child + 1], link->heap[child]))
			child++;
		if (!before(link->heap[child], last))
			break;
		link->heap[i] = link->heap[child];
		i = child;
	}
	link->heap[i] = last;
	return top;
}

static void link_send(struct link *link, const unsigned char *data, size_t len, uint64_t due_ns)
{
	struct packet *p = malloc(sizeof(*p) + len);

	if (!p)
		abort();
	p->due_ns = due_ns;
	p->order = link->order++;
	p->len = len;
	memcpy(p->data, data, len);
	heap_add(link, p);
}

static void link_take(struct link *link, const unsigned char *data, size_t len, uint64_t now)
{
	/* All are drawn for each packet: a changed loss does not change the reordering. */
	int lose = draw_percent(link, options.loss);
	int twice = draw_percent(link, options.duplicate);
	int late = draw_percent(link, options.reorder);
	double late_ms = options.delay_ms / 8 > 10 ? options.delay_ms / 8 : 10;
	uint64_t span = (uint64_t)(late_ms * 1e6);
	uint64_t late_ns = draw(&link->random) % span;
	uint64_t due;

	if (cut) {
		link->cut++;
		return;
	}
	if (link->wire_free_ns < now)
		link->wire_free_ns = now;
	if (options.rate_mbit > 0) {
		if ((double)(link->wire_free_ns - now) > options.queue_ms * 1e6) {
			link->tail_dropped++;
			return;
		}
		link->wire_free_ns += (uint64_t)((double)len * 8e3 / options.rate_mbit);
	}
	if (lose) {
		link->lost++;
		return;
	}
	due = link->wire_free_ns + (uint64_t)(options.delay_ms * 1e6);
	if (late) {
		link->reordered++;
		due += late_ns;
	}
	link_send(link, data, len, due);
	if (twice) {
		link->doubled++;
		link_send(link, data, len, due);
	}
}

/* Neighbour discovery and the like come when the kernel likes: they draw no numbers, else the same
 * seed would not do the same to the same traffic. */
static int is_multicast6(const unsigned char *data, size_t len)
{
	return len >= 40 && data[0] >> 4 == 6 && data[24] == 0xff;
}

/* Read what the namespace sends, at most a burst, so that the other direction gets its turn. */
static void link_read(struct link *link)
{
	static unsigned char buf[PACKET_CAP];
	ssize_t n;

	for (int i = 0; i < 64 && (n = read(link->in, buf, sizeof(buf))) > 0; i++) {
		/* Of each packet, after it came: none may be there sooner than the delay allows. */
		uint64_t now = clock_ns();

		if (is_multicast6(buf, (size_t)n))
			link_send(link, buf, (size_t)n, now + (uint64_t)(options.delay_ms * 1e6));
		else
			link_take(link, buf, (size_t)n, now);
	}
}

static void link_deliver(struct link *link, uint64_t now)
{
	while (link->count > 0 && link->heap[0]->due_ns <= now) {
		struct packet *p = heap_take(link);

		/* A full device queue or a device that is down loses it, as a wire does. */
		if (write(link->out, p->data, p->len) == (ssize_t)p->len) {
			link->forwarded++;
			link->bytes += p->len;
		} else {
			link->tail_dropped++;
		}
		free(p);
	}
}

static int open_tun(int ns_fd)
{
	struct ifreq ifr;
	int fd;

	if (setns(ns_fd, CLONE_NEWNET) < 0)
		return -1;
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_flags = IFF_TUN | IFF_NO_PI;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", options.dev);
	return ioctl(fd, TUNSETIFF, &ifr) < 0 ? -1 : fd;
}

static void print_link(const char *name, const struct link *link)
{
	printf("\"%s\":{\"forwarded\":%llu,\"bytes\":%llu,\"lost\":%llu,\"tail_dropped\":%llu,"
	       "\"cut\":%llu,\"doubled\":%llu,\"reordered\":%llu}",
	       name, (unsigned long long)link->forwarded, (unsigned long long)link->bytes,
	       (unsigned long long)link->lost, (unsigned long long)link->tail_dropped,
	       (unsigned long long)link->cut, (unsigned long long)link->doubled,
	       (unsigned long long)link->reordered);
}

static void usage(void)
{
	fputs("usage: relay --ns-a PATH --ns-b PATH [--dev NAME] [--delay MS] [--rate MBIT]\n"
	      "             [--queue MS] [--loss %] [--reorder %] [--duplicate %] [--seed N]\n"
	      "PATH names a network namespace (/run/netns/NAME). The delay is one way. A rate of 0 "
	      "is\n"
	      "no limit.\n",
	      stderr);
	exit(2);
}

static double number(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= 0)) {
		fprintf(stderr, "relay: not a number of 0 or more: %s\n", text);
		exit(2);
	}
	return value;
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{"ns-a", 1, NULL, 'a'},	 {"ns-b", 1, NULL, 'b'},    {"dev", 1, NULL, 'd'},
		{"delay", 1, NULL, 'D'}, {"rate", 1, NULL, 'r'},    {"queue", 1, NULL, 'q'},
		{"loss", 1, NULL, 'l'},	 {"reorder", 1, NULL, 'o'}, {"duplicate", 1, NULL, 'u'},
		{"seed", 1, NULL, 's'},	 {NULL, 0, NULL, 0},
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (opt) {
		case 'a':
			options.ns[0] = optarg;
			break;
		case 'b':
			options.ns[1] = optarg;
			break;
		case 'd':
			options.dev = optarg;
			break;
		case 'D':
			options.delay_ms = number(optarg);
			break;
		case 'r':
			options.rate_mbit = number(optarg);
			break;
		case 'q':
			options.queue_ms = number(optarg);
			break;
		case 'l':
			options.loss = number(optarg);
			break;
		case 'o':
			options.reorder = number(optarg);
			break;
		case 'u':
			options.duplicate = number(optarg);
			break;
		case 's':
			options.seed = (uint64_t)number(optarg);
			break;
		default:
			usage();
		}
	}
	if (optind != argc || !options.ns[0] || !options.ns[1])
		usage();
}

static void run(struct link links[2])
{
	while (!ending) {
		struct pollfd fds[2] = {{.fd = links[0].in, .events = POLLIN},
					{.fd = links[1].in, .events = POLLIN}};
		uint64_t now = clock_ns(), due = now + SECOND_NS;
		struct timespec wait;

		for (int i = 0; i < 2; i++) {
			link_deliver(&links[i], now);
			if (links[i].count > 0 && links[i].heap[0]->due_ns < due)
				due = links[i].heap[0]->due_ns;
		}
		now = clock_ns();
		due = due > now ? due - now : 0;
		wait.tv_sec = (time_t)(due / SECOND_NS);
		wait.tv_nsec = (long)(due % SECOND_NS);
		if (ppoll(fds, 2, &wait, NULL) < 0) {
			if (errno == EINTR)
				continue;
			perror("relay: ppoll");
			exit(1);
		}
		for (int i = 0; i < 2; i++) {
			if (fds[i].revents)
				link_read(&links[i]);
		}
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct link links[2] = {{.in = -1}, {.in = -1}};
	int ns[2], fds[2];

	parse(argc, argv);
	for (int i = 0; i < 2; i++) {
		ns[i] = open(options.ns[i], O_RDONLY | O_CLOEXEC);
		if (ns[i] < 0) {
			fprintf(stderr, "relay: %s: %s\n", options.ns[i], strerror(errno));
			return 1;
		}
	}
	for (int i = 0; i < 2; i++) {
		fds[i] = open_tun(ns[i]);
		if (fds[i] < 0) {
			fprintf(stderr, "relay: no TUN device in %s: %s\n", options.ns[i],
				strerror(errno));
			return 77;
		}
	}
	for (int i = 0; i < 2; i++) {
		links[i].in = fds[i];
		links[i].out = fds[!i];
		links[i].random = options.seed * 2 + (uint64_t)i;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
	puts("ready");
	fflush(stdout);
	run(links);
	putchar('{');
	print_link("a_to_b", &links[0]);
	putchar(',');
	print_link("b_to_a", &links[1]);
	puts("}");
	return 0;
}
