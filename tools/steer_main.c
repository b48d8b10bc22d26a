/* SPDX-License-Identifier: MIT */
/* quicshim-steer: load, pin, show and remove the program that steers UDP datagrams to workers. */
#include "bpf/loader.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_DIR "/sys/fs/bpf/quicshim"
#define EXIT_USAGE 2

static const char usage_text[] =
	"usage: quicshim-steer [--dir DIR] [--owner USER] [--group GROUP] [--mode MODE]\n"
	"                      [--host-id N] load\n"
	"       quicshim-steer [--dir DIR] unload\n"
	"       quicshim-steer [--dir DIR] [--json] show\n"
	"Steers the UDP datagrams of one port to the worker that has the connection.\n"
	"  -d, --dir DIR      where the pins are: " DEFAULT_DIR "\n"
	"  -a, --address ADDRESS:PORT   the place where engines look for that UDP address's\n"
	"  -o, --owner USER   who may use them\n"
	"  -g, --group GROUP  which group may use them\n"
	"  -m, --mode MODE    octal, of the pinned maps: 0660\n"
	"  -H, --host-id N    of this machine's connection IDs, 0 to 65535: 0\n"
	"  -j, --json         for programs\n"
	"  -h, --help         this text\n"
	"      --version\n";

struct wish {
	const char *dir;
	char path[QS_STEER_PATH_MAX];
	struct qs_steer_access access;
	uint16_t host;
	bool json;
	bool loads; /* an option that only load knows was given */
};

static int complain(const char *what, const char *text)
{
	fprintf(stderr, "quicshim-steer: '%s' is no %s\n", text, what);
	return -EINVAL;
}

/* A whole number up to max, all of the text. */
static int number(const char *text, int base, unsigned long max, unsigned long *out)
{
	char *end;

	errno = 0;
	*out = strtoul(text, &end, base);
	return errno || end == text || *end || *text < '0' || *text > '9' || *out > max ? -EINVAL
											: 0;
}

/* (uid_t)-1, the largest, means nobody in particular. */
static int user_of(const char *text, uid_t *out)
{
	const struct passwd *entry = getpwnam(text);
	unsigned long id;

	if (!entry && number(text, 10, (uid_t)-2, &id))
		return complain("user", text);
	*out = entry ? entry->pw_uid : (uid_t)id;
	return 0;
}

static int group_of(const char *text, gid_t *out)
{
	const struct group *entry = getgrnam(text);
	unsigned long id;

	if (!entry && number(text, 10, (gid_t)-2, &id))
		return complain("group", text);
	*out = entry ? entry->gr_gid : (gid_t)id;
	return 0;
}

/* Takes "192.0.2.1:443" or "[2001:db8::1]:443". */
static int address_of(struct wish *wish, char *text)
{
	char *colon = strrchr(text, ':'), *ip = text;
	int family = AF_INET;
	unsigned long port;
	uint8_t octets[16];

	if (!colon || number(colon + 1, 10, UINT16_MAX, &port) || port == 0)
		return complain("ADDRESS:PORT", text);
	*colon = '\0';
	if (*ip == '[' && colon > ip && colon[-1] == ']') {
		family = AF_INET6;
		ip++;
		colon[-1] = '\0';
	}
	if (inet_pton(family, ip, octets) != 1)
		return complain("address", ip);
	qs_steer_path(family, octets, (uint16_t)port, wish->path);
	wish->dir = wish->path;
	return 0;
}

static int wish_parse(struct wish *wish, int argc, char **argv)
{
	static const struct option options[] = {
		{"dir", required_argument, NULL, 'd'},	 {"address", required_argument, NULL, 'a'},
		{"owner", required_argument, NULL, 'o'}, {"group", required_argument, NULL, 'g'},
		{"mode", required_argument, NULL, 'm'},	 {"host-id", required_argument, NULL, 'H'},
		{"json", no_argument, NULL, 'j'},	 {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},	 {NULL, 0, NULL, 0},
	};
	unsigned long value;
	int opt;

	while ((opt = getopt_long(argc, argv, "d:a:o:g:m:H:jh", options, NULL)) >= 0) {
		switch (opt) {
		case 'd':
			wish->dir = optarg;
			continue;
		case 'a':
			if (address_of(wish, optarg))
				return -EINVAL;
			continue;
		case 'j':
			wish->json = true;
			continue;
		case 'o':
			if (user_of(optarg, &wish->access.owner))
				return -EINVAL;
			break;
		case 'g':
			if (group_of(optarg, &wish->access.group))
				return -EINVAL;
			break;
		case 'm':
			if (number(optarg, 8, 0666, &value) || value & ~0666ul)
				return complain("mode of a map (octal, within 0666)", optarg);
			wish->access.mode = (mode_t)value;
			break;
		case 'H':
			if (number(optarg, 10, UINT16_MAX, &value))
				return complain("host ID (0 to 65535)", optarg);
			wish->host = (uint16_t)value;
			break;
		case 'h':
			fputs(usage_text, stdout);
			exit(EXIT_SUCCESS);
		case 'V':
			puts("quicshim-steer " QS_VERSION);
			exit(EXIT_SUCCESS);
		default:
			return -EINVAL;
		}
		wish->loads = true;
	}
	return 0;
}

/* One line that says what is to be done. */
static int fail(const char *what, const struct wish *wish, int error)
{
	fprintf(stderr, "quicshim-steer: %s %s: ", what, wish->dir);
	switch (-error) {
	case EEXIST:
		fputs("it is there already; unload it first\n", stderr);
		break;
	case ENOENT:
		fputs("nothing is pinned there\n", stderr);
		break;
	case ENOTSUP:
		fputs("not in a BPF file system; try: mount -t bpf bpf /sys/fs/bpf\n", stderr);
		break;
	case EPERM:
		fputs("not permitted: that takes root (or CAP_BPF and CAP_NET_ADMIN), and a folder "
		      "that only its owner, root or the caller, may write\n",
		      stderr);
		break;
	case EPROTO:
		fputs("what is pinned there is not of this version of quicshim\n", stderr);
		break;
	case EINVAL:
		fputs("no name for pins: the last part of the path must not have a dot\n", stderr);
		break;
	default:
		fprintf(stderr, "%s\n", strerror(-error));
	}
	return EXIT_FAILURE;
}

static int do_load(const struct wish *wish)
{
	struct qs_steer *steer;
	int error = qs_steer_load(&steer, wish->host);

	if (error == -EPERM || error == -ENOMEM)
		return fail("load", wish, error);
	if (error) {
		fprintf(stderr, "quicshim-steer: this kernel refuses the program: %s\n",
			strerror(-error));
		return EXIT_FAILURE;
	}
	error = qs_steer_pin(steer, wish->dir, &wish->access);
	/* Of the folder that it would be in: what its absence means is told otherwise. */
	if (error == -ENOENT)
		error = -ENOTSUP;
	qs_steer_free(steer);
	return error ? fail("load", wish, error) : EXIT_SUCCESS;
}

static int do_unload(const struct wish *wish)
{
	int error = qs_steer_unpin(wish->dir);

	return error ? fail("unload", wish, error) : EXIT_SUCCESS;
}

/* Slots that were never used are not shown. */
static bool is_shown(const struct qs_steer_slot_view *view)
{
	return view->state != QS_STEER_FREE || view->cookie || view->buckets;
}

static const char *state_of(const struct qs_steer_slot_view *view)
{
	return view->cookie || view->state == QS_STEER_FREE ? qs_steer_state_name(view->state)
							    : "dead";
}

static void show_text(const struct qs_steer *steer, const struct qs_steer_counts *counts)
{
	struct qs_steer_slot_view view;

	printf("host ID %u\n", qs_steer_host(steer));
	printf("%4s %-9s %10s %7s %7s %s\n", "SLOT", "STATE", "GENERATION", "PID", "BUCKETS",
	       "SOCKET");
	for (unsigned i = 0; qs_steer_slot_view(steer, i, &view) == 0; i++) {
		if (is_shown(&view))
			printf("%4u %-9s %10u %7u %7u %" PRIu64 "\n", i, state_of(&view),
			       view.generation, view.pid, view.buckets, view.cookie);
	}
	for (unsigned i = 0; i < QS_STEER_N_COUNTS; i++)
		printf("%s%s %" PRIu64, i ? ", " : "datagrams: ", qs_steer_count_name(i),
		       (uint64_t)counts->n[i]);
	putchar('\n');
}

static void show_json(const struct qs_steer *steer, const struct qs_steer_counts *counts)
{
	struct qs_steer_slot_view view;
	bool more = false;

	printf("{\"host_id\":%u,\"slots\":[", qs_steer_host(steer));
	for (unsigned i = 0; qs_steer_slot_view(steer, i, &view) == 0; i++) {
		if (!is_shown(&view))
			continue;
		printf("%s{\"slot\":%u,\"state\":\"%s\",\"generation\":%u,\"pid\":%u,"
		       "\"buckets\":%u,\"socket\":%" PRIu64 "}",
		       more ? "," : "", i, state_of(&view), view.generation, view.pid, view.buckets,
		       view.cookie);
		more = true;
	}
	printf("],\"datagrams\":{");
	for (unsigned i = 0; i < QS_STEER_N_COUNTS; i++)
		printf("%s\"%s\":%" PRIu64, i ? "," : "", qs_steer_count_name(i),
		       (uint64_t)counts->n[i]);
	puts("}}");
}

static int do_show(const struct wish *wish)
{
	struct qs_steer_counts counts;
	struct qs_steer *steer;
	int error = qs_steer_open(&steer, wish->dir, true);

	if (!error)
		error = qs_steer_counts(steer, &counts);
	if (!error && wish->json)
		show_json(steer, &counts);
	else if (!error)
		show_text(steer, &counts);
	qs_steer_free(steer);
	if (error)
		return fail("show", wish, error);
	return fflush(stdout) || ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static const struct {
	const char *name;
	int (*run)(const struct wish *wish);
} commands[] = {{"load", do_load}, {"unload", do_unload}, {"show", do_show}};

int main(int argc, char **argv)
{
	struct wish wish = {
		.dir = DEFAULT_DIR,
		.access = {.owner = (uid_t)-1, .group = (gid_t)-1, .mode = 0660},
	};

	if (wish_parse(&wish, argc, argv) || optind + 1 != argc)
		goto usage;
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(argv[optind], commands[i].name))
			continue;
		/* An option that would do nothing is a mistake of the caller's. */
		if ((wish.loads && commands[i].run != do_load) ||
		    (wish.json && commands[i].run != do_show))
			goto usage;
		return commands[i].run(&wish);
	}
	fprintf(stderr, "quicshim-steer: unknown command '%s'\n", argv[optind]);
usage:
	fputs(usage_text, stderr);
	return EXIT_USAGE;
}
