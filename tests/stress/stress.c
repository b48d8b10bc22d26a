/* SPDX-License-Identifier: MIT */
/* Many threads that connect, send, receive, shut down, reset, close, fork and exec at random. */
#include "harness.h"

#include <dirent.h>
#include <stdatomic.h>
#include <time.h>

/*
 * Theory. The server is a program of its own. Each connection begins with a word that says what will go up
 * and down, and from which seed: both ends compare every byte with the pattern of that seed, so that a byte
 * which is lost, doubled or another connection's is seen at once. What a client does is drawn at random from
 * the table below. Some of it breaks the connection on purpose; then the server takes an end at any place, but
 * never a wrong byte. At the end descriptors must be as many as at the start, and memory about as much as when
 * a quarter of the time was over.
 *
 * stress SECONDS [THREADS [SEED]]
 */

#define MAGIC 0x5354524553530001u
#define RSS_GROWTH_KIB (48 * 1024)

struct word {
	uint64_t magic, seed;
	int64_t up, down;
	uint32_t half; /* the client half-closes before the server answers */
	uint32_t breaks; /* it may end at any place */
	uint32_t quit; /* no connection: the server ends */
};

enum act { TALK, HALF, POLLED, FORK, EXEC, DUP, RESET, ABANDON, CLOSE_AT_ONCE, SHUT_BOTH, ACTS };

static const char *const act_names[] = {"talk", "half-close", "non-blocking", "fork",  "exec",
					"dup",	"reset",      "abandon",      "close", "shutdown"};
_Static_assert(COUNT(act_names) == ACTS, "a name an act");

static int port, seconds, n_threads = 16;
static time_t deadline;
static char self[4096]; /* valgrind answers readlink for /proc/self/exe, but not execve */
static unsigned base_seed = 1;
static atomic_uint counts[ACTS], sessions, broken;
static atomic_ullong whole_bytes; /* went up and down, and every one was compared */

/* --- the server --- */

/* Compares what comes. 0 all was right, 1 an end that may be. */
static int take(int fd, const struct word *word)
{
	static _Thread_local char got[65536], expected[65536];
	int64_t done = 0;

	while (done < word->up) {
		size_t want = word->up - done < (int64_t)sizeof(got) ? (size_t)(word->up - done)
								     : sizeof(got);
		ssize_t n = ct_read_full(fd, got, want);

		if (n > 0) {
			ct_pattern(expected, (size_t)n, (uint64_t)done, word->seed);
			CHECK(memcmp(got, expected, (size_t)n) == 0);
			done += n;
		}
		if (n != (ssize_t)want) {
			CHECK(word->breaks);
			return 1;
		}
	}
	return 0;
}

static void *serve(void *argument)
{
	int fd = (int)(intptr_t)argument;
	struct word word;

	/* A client that breaks its connection may take the first word with it. */
	if (ct_read_full(fd, &word, sizeof(word)) != sizeof(word)) {
		atomic_fetch_add(&broken, 1);
		close(fd);
		return NULL;
	}
	CHECK(word.magic == MAGIC);
	if (take(fd, &word) == 0) {
		if (word.half)
			CHECK(read(fd, &word.magic, 1) == 0);
		if (ct_send_pattern(fd, word.down, word.seed + 1) != word.down)
			CHECK(word.breaks);
	}
	if (word.breaks)
		atomic_fetch_add(&broken, 1);
	else
		atomic_fetch_add(&sessions, 1);
	close(fd);
	if (word.quit)
		exit(0);
	return NULL;
}

static void server(int listener)
{
	pthread_attr_t detached;

	alarm(0);
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&detached, 512 << 10);
	for (;;) {
		pthread_t thread;
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0 && errno == EINTR)
			continue;
		CHECK(fd >= 0);
		CHECK(pthread_create(&thread, &detached, serve, (void *)(intptr_t)fd) == 0);
	}
}

/* --- the clients --- */

static void finish_talk(int fd, const struct word *word)
{
	char byte;

	CHECK(ct_send_pattern(fd, word->up, word->seed) == word->up);
	if (word->half)
		MUST(shutdown(fd, SHUT_WR));
	CHECK(ct_recv_pattern(fd, word->down, word->seed + 1) == word->down);
	CHECK(read(fd, &byte, 1) == 0);
}

static void say(int fd, const struct word *word)
{
	CHECK(ct_write_full(fd, word, sizeof(*word)) == sizeof(*word));
}

static int open_one(bool polled)
{
	struct ct_addr addr = ct_loopback(AF_INET, port);
	int fd = ct_socket(AF_INET, SOCK_CLOEXEC | (polled ? SOCK_NONBLOCK : 0)), error = 0;
	socklen_t size = sizeof(error);

	if (connect(fd, SA(&addr)) != 0) {
		CHECK(polled && errno == EINPROGRESS);
		ct_await(fd, POLLOUT);
		MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
		CHECK(error == 0);
	}
	if (polled)
		ct_nonblock(fd, false);
	return fd;
}

/* In another process: this program again, or a copy of it. */
static void talk_apart(int fd, const struct word *word, bool exec)
{
	static char name[] = "stress";
	char number[16], text[sizeof(*word) * 2 + 1], *argv[] = {name, number, text, NULL};
	int status;
	pid_t pid;

	sprintf(number, "%d", fd);
	for (size_t i = 0; i < sizeof(*word); i++)
		sprintf(text + i * 2, "%02x", ((const unsigned char *)word)[i]);
	pid = MUST(fork());
	if (pid == 0) {
		if (!exec) {
			finish_talk(fd, word);
			_exit(0);
		}
		fcntl(fd, F_SETFD, 0);
		execv(self, argv);
		fprintf(stderr, "exec: %s\n", strerrorname_np(errno));
		_exit(127);
	}
	close(fd);
	CHECK(waitpid(pid, &status, 0) == pid);
	if (status != 0)
		fprintf(stderr, "%s, wait status %#x\n", exec ? "exec" : "fork", (unsigned)status);
	CHECK(status == 0);
}

static void play(enum act act, struct word *word)
{
	struct linger none = {.l_onoff = 1};
	int fd = open_one(act == POLLED), other;

	word->half = act == HALF || act == FORK;
	word->breaks = act >= RESET;
	if (act == CLOSE_AT_ONCE) {
		close(fd);
		return;
	}
	say(fd, word);
	switch (act) {
	case FORK:
	case EXEC:
		talk_apart(fd, word, act == EXEC);
		return;
	case DUP:
		other = MUST(fcntl(fd, F_DUPFD_CLOEXEC, 0));
		close(fd);
		fd = other;
		break;
	case RESET:
		ct_send_pattern(fd, word->up / 2, word->seed);
		MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)));
		close(fd);
		return;
	case ABANDON:
		ct_send_pattern(fd, word->up / 8 * 8, word->seed);
		close(fd);
		return;
	case SHUT_BOTH:
		shutdown(fd, SHUT_RDWR);
		close(fd);
		return;
	default:
		break;
	}
	finish_talk(fd, word);
	close(fd);
}

static void *client(void *argument)
{
	unsigned state = base_seed * 1000 + (unsigned)(intptr_t)argument;

	ct_as("thread");
	for (unsigned i = 0; time(NULL) < deadline; i++) {
		enum act act = (enum act)((unsigned)rand_r(&state) % ACTS);
		int big = rand_r(&state) % 16 == 0 ? 1 << 20 : 20000;
		struct word word = {.magic = MAGIC,
				    .seed = ((uint64_t)(uintptr_t)argument << 20 | i) * 2,
				    .up = rand_r(&state) % big,
				    .down = rand_r(&state) % big};

		play(act, &word);
		atomic_fetch_add(&counts[act], 1);
		if (!word.breaks)
			atomic_fetch_add(&whole_bytes, (unsigned long long)(word.up + word.down));
	}
	return NULL;
}

static int count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int n = 0;

	CHECK(directory != NULL);
	while (readdir(directory) != NULL)
		n++;
	closedir(directory);
	return n;
}

static long rss_kib(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long size, pages = 0;

	CHECK(file != NULL && fscanf(file, "%ld %ld", &size, &pages) == 2);
	fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void run(int server_port)
{
	pthread_t *threads = calloc((size_t)n_threads, sizeof(*threads));
	struct word quit = {.magic = MAGIC, .quit = 1};
	int before, after, fd;
	unsigned total = 0;
	long early, late;

	alarm(0);
	port = server_port;
	fd = open_one(false); /* whatever is opened once is open now */
	ct_prove(fd);
	close(fd);
	before = count_descriptors();
	deadline = time(NULL) + seconds;
	for (int i = 0; i < n_threads; i++)
		threads[i] = ct_thread(client, (void *)(intptr_t)(i + 1));
	usleep((useconds_t)seconds * 250000u);
	early = rss_kib();
	for (int i = 0; i < n_threads; i++)
		ct_join(threads[i]);
	free(threads);
	late = rss_kib();
	after = count_descriptors();
	for (int i = 0; i < ACTS; i++) {
		printf("%s %u, ", act_names[i], counts[i]);
		total += counts[i];
	}
	printf("%u in all, %llu bytes of whole ones; %d descriptors before and %d after, "
	       "memory %ld KiB early and %ld late\n",
	       total, whole_bytes, before, after, early, late);
	fflush(stdout);
	CHECK(after == before);
	if (getenv("STRESS_NO_MEMORY") == NULL)
		CHECK(late - early < RSS_GROWTH_KIB);
	fd = open_one(false);
	say(fd, &quit);
	CHECK(read(fd, &quit, 1) == 0);
	close(fd);
}

int main(int argc, char **argv)
{
	struct word word;
	ssize_t n;

	ct_init();
	alarm(0);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	CHECK(n > 0);
	self[n] = '\0'; /* valgrind leaves the end of its own name there */
	if (argc == 3 && strlen(argv[2]) == sizeof(word) * 2) {
		for (size_t i = 0; i < sizeof(word); i++)
			CHECK(sscanf(argv[2] + i * 2, "%2hhx", (unsigned char *)&word + i) == 1);
		finish_talk(atoi(argv[1]), &word);
		return 0;
	}
	seconds = argc > 1 ? atoi(argv[1]) : 3;
	if (argc > 2)
		n_threads = atoi(argv[2]);
	if (argc > 3)
		base_seed = (unsigned)atoi(argv[3]);
	return ct_play_listen(CT_APART, server, run);
}
