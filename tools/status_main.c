/* SPDX-License-Identifier: MIT */
/* quicshim-status: what the quicshim engines of this machine are doing. */
#include "status_view.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXIT_NONE 1 /* no engine, or none that answers */
#define EXIT_USAGE 2
#define ASKERS 15 /* threads besides the first */

struct wish {
	bool json, verbose;
	bool has_engine;
	uint64_t engine;
	int64_t pid; /* 0 = all */
};

static const char usage[] =
	"usage: quicshim-status [--json] [--verbose] [--engine ID] [--pid PID]\n"
	"Shows the quicshim engines of this machine, their QUIC connections, streams and "
	"listeners.\n"
	"  -j, --json         for programs\n"
	"  -v, --verbose      every column, nothing cut\n"
	"  -e, --engine ID    only this engine\n"
	"  -p, --pid PID      only what this process has\n"
	"  -h, --help         this text\n"
	"      --version\n";

static int wish_parse(struct wish *wish, int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"verbose", no_argument, NULL, 'v'},
		{"engine", required_argument, NULL, 'e'},
		{"pid", required_argument, NULL, 'p'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	char *end;
	int opt;

	while ((opt = getopt_long(argc, argv, "jve:p:h", options, NULL)) >= 0) {
		switch (opt) {
		case 'j':
			wish->json = true;
			break;
		case 'v':
			wish->verbose = true;
			break;
		case 'e':
			if (strspn(optarg, "0123456789abcdefABCDEF") != strlen(optarg) ||
			    strlen(optarg) != 16) {
				fprintf(stderr,
					"quicshim-status: '%s' is no engine id: 16 "
					"hexadecimal digits\n",
					optarg);
				return -EINVAL;
			}
			wish->engine = strtoull(optarg, NULL, 16);
			wish->has_engine = true;
			break;
		case 'p':
			errno = 0;
			wish->pid = strtoll(optarg, &end, 10);
			if (errno || end == optarg || *end || wish->pid <= 0 ||
			    wish->pid > INT32_MAX) {
				fprintf(stderr, "quicshim-status: '%s' is no process id\n", optarg);
				return -EINVAL;
			}
			break;
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		case 'V':
			puts("quicshim-status " QS_VERSION);
			exit(EXIT_SUCCESS);
		default:
			fputs(usage, stderr);
			return -EINVAL;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "quicshim-status: unexpected '%s'\n%s", argv[optind], usage);
		return -EINVAL;
	}
	return 0;
}

static int compare_connections(const void *a, const void *b)
{
	const struct qs_status_connection *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int compare_streams(const void *a, const void *b)
{
	const struct qs_status_stream *x = a, *y = b;

	if (x->connection != y->connection)
		return x->connection > y->connection ? 1 : -1;
	return (x->stream > y->stream) - (x->stream < y->stream);
}

static int compare_connection_id(const void *key, const void *entry)
{
	const uint64_t *id = key;
	const struct qs_status_stream *stream = entry;

	return (*id > stream->connection) - (*id < stream->connection);
}

static void sort_entries(struct qs_snapshot *s)
{
	if (s->head.n_connections)
		qsort(s->connections, s->head.n_connections, sizeof(*s->connections),
		      compare_connections);
	if (s->head.n_streams)
		qsort(s->streams, s->head.n_streams, sizeof(*s->streams), compare_streams);
}

/* Leaves what has to do with the process. Returns false if nothing has. The streams are sorted. */
static bool keep_pid(struct qs_snapshot *s, int64_t pid)
{
	uint32_t n = 0;

	if (s->pid == pid)
		return true;
	for (uint32_t i = 0; i < s->head.n_streams; i++) {
		if (s->streams[i].pid == pid)
			s->streams[n++] = s->streams[i];
	}
	s->head.n_streams = n;
	n = 0;
	for (uint32_t i = 0; i < s->head.n_listeners; i++) {
		if (s->listeners[i].pid == pid)
			s->listeners[n++] = s->listeners[i];
	}
	s->head.n_listeners = n;
	n = 0;
	for (uint32_t i = 0; i < s->head.n_verdicts; i++) {
		if (s->verdicts[i].pid == pid)
			s->verdicts[n++] = s->verdicts[i];
	}
	s->head.n_verdicts = n;
	s->head.n_failures = 0;
	n = 0;
	for (uint32_t i = 0; i < s->head.n_connections; i++) {
		if (s->head.n_streams &&
		    bsearch(&s->connections[i].id, s->streams, s->head.n_streams,
			    sizeof(*s->streams), compare_connection_id))
			s->connections[n++] = s->connections[i];
	}
	s->head.n_connections = n;
	return s->head.n_streams || s->head.n_listeners || s->head.n_verdicts;
}

static void complain(uint64_t id, const struct qs_snapshot *s, int ret)
{
	fprintf(stderr, "quicshim-status: engine %016" PRIx64 ": ", id);
	switch (ret) {
	case -EACCES:
		fprintf(stderr, "belongs to uid %u: run as that user or as root\n", s->uid);
		break;
	case -EPIPE:
		fputs("closed without an answer\n", stderr);
		break;
	case -EPROTO:
		fputs("gave an answer that makes no sense\n", stderr);
		break;
	case -EPROTONOSUPPORT:
		fputs("is of another quicshim version\n", stderr);
		break;
	case -ETIMEDOUT:
		fprintf(stderr, "no whole answer in %d ms\n", QS_STATUS_TIMEOUT_MS);
		break;
	default:
		fprintf(stderr, "%s\n", strerror(-ret));
	}
}

/* An engine that ends just now closes without a word: then it is gone when asked again. */
static int ask(uint64_t id, struct qs_snapshot *out)
{
	int ret = qs_snapshot_ask(id, QS_STATUS_TIMEOUT_MS, out);

	for (int again = 0; again < 5 && ret == -EPIPE; again++) {
		const struct timespec pause = {.tv_nsec = 20000000};

		nanosleep(&pause, NULL);
		ret = qs_snapshot_ask(id, QS_STATUS_TIMEOUT_MS, out);
	}
	return ret;
}

/* Engines to ask, by several threads: one that is stopped does not make the others wait. */
struct round {
	const uint64_t *ids;
	struct qs_snapshot *snapshots; /* of the ids in turn, and */
	int *rets; /* what ask() said of each */
	size_t n;
	atomic_size_t next;
};

static void *ask_some(void *argument)
{
	struct round *round = argument;
	size_t i;

	while ((i = atomic_fetch_add(&round->next, 1)) < round->n)
		round->rets[i] = ask(round->ids[i], &round->snapshots[i]);
	return NULL;
}

/* Without any thread it takes longer. */
static void ask_all(struct round *round)
{
	pthread_t threads[ASKERS];
	size_t n = 0;

	while (n < ASKERS && n + 1 < round->n &&
	       pthread_create(&threads[n], NULL, ask_some, round) == 0)
		n++;
	ask_some(round);
	while (n > 0)
		pthread_join(threads[--n], NULL);
}

/* Keeps what was wished for, in its order. Returns how many; *silent = engines that gave none. */
static size_t sift(const struct wish *wish, const struct round *round, size_t *silent)
{
	size_t have = 0;

	for (size_t i = 0; i < round->n; i++) {
		struct qs_snapshot s = round->snapshots[i];

		if (round->rets[i] == -ECONNREFUSED) /* ended since we read the list */
			continue;
		if (round->rets[i] < 0) {
			complain(round->ids[i], &s, round->rets[i]);
			++*silent;
			continue;
		}
		sort_entries(&s);
		if (wish->pid && !keep_pid(&s, wish->pid))
			qs_snapshot_fini(&s);
		else
			round->snapshots[have++] = s;
	}
	return have;
}

/* Asks all engines there are, or the one of `wish`. Returns how many snapshots, or -errno. */
static ssize_t collect(const struct wish *wish, struct qs_snapshot **out, size_t *silent)
{
	uint64_t *ids = NULL;
	int n = qs_engines_find("/proc/net/unix", &ids);
	struct round round = {.ids = ids};
	ssize_t have;

	*silent = 0;
	if (n <= 0)
		return n;
	for (int i = 0; i < n; i++) {
		if (!wish->has_engine || ids[i] == wish->engine)
			ids[round.n++] = ids[i];
	}
	round.snapshots = calloc((size_t)n, sizeof(*round.snapshots));
	round.rets = calloc((size_t)n, sizeof(*round.rets));
	have = -ENOMEM;
	if (round.snapshots != NULL && round.rets != NULL) {
		ask_all(&round);
		have = (ssize_t)sift(wish, &round, silent);
		*out = round.snapshots;
	} else {
		free(round.snapshots);
	}
	free(round.rets);
	free(ids);
	return have;
}

int main(int argc, char **argv)
{
	struct qs_snapshot *list = NULL;
	struct wish wish = {0};
	size_t silent;
	ssize_t n;
	int ret;

	if (wish_parse(&wish, argc, argv) < 0)
		return EXIT_USAGE;
	n = collect(&wish, &list, &silent);
	if (n < 0) {
		fprintf(stderr, "quicshim-status: %s\n", strerror((int)-n));
		return EXIT_NONE;
	}
	if (wish.json)
		ret = qs_status_json(stdout, list, (size_t)n);
	else
		ret = qs_status_text(stdout, list, (size_t)n, wish.verbose);
	for (ssize_t i = 0; i < n; i++)
		qs_snapshot_fini(&list[i]);
	free(list);
	if (ret < 0) {
		fprintf(stderr, "quicshim-status: %s\n", strerror(-ret));
		return EXIT_NONE;
	}
	if (fflush(stdout) != 0) {
		fprintf(stderr, "quicshim-status: %s\n", strerror(errno));
		return EXIT_NONE;
	}
	if (n == 0) {
		if (wish.has_engine || wish.pid)
			fputs("quicshim-status: no engine matches\n", stderr);
		else if (!silent)
			fputs("quicshim-status: no engine runs here: no program has used a mapped "
			      "address, or it ended\n",
			      stderr);
		return EXIT_NONE;
	}
	return EXIT_SUCCESS;
}
