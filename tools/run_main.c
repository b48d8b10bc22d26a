/* SPDX-License-Identifier: MIT */
/* quicshim-run: starts a command whose TCP connections travel over QUIC where the policy says so. */
#include "control.h"
#include "policy.h"
#include "run_parts.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define EXIT_NOT_EXECUTABLE 126 /* as env(1) and the shells have it */
#define EXIT_NOT_FOUND 127

struct wish {
	const char *policy, *log;
	bool share;
};

static const char usage[] =
	"usage: quicshim-run [--policy FILE] [--log FILE] [--share] COMMAND [ARGUMENT...]\n"
	"Runs COMMAND with its TCP connections over QUIC, for the addresses that the policy "
	"names.\n"
	"  -p, --policy FILE  use this policy (default: see policy.conf(5))\n"
	"  -l, --log FILE     the engine appends a line an event\n"
	"  -s, --share        use the engine that this shell already uses, not one of its own\n"
	"  -h, --help         this text\n"
	"      --version\n";

/* Returns 0 or an exit code. */
static int wish_parse(struct wish *wish, int argc, char **argv)
{
	static const struct option options[] = {
		{"policy", required_argument, NULL, 'p'}, {"log", required_argument, NULL, 'l'},
		{"share", no_argument, NULL, 's'},	  {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},	  {NULL, 0, NULL, 0},
	};
	int opt;

	/* "+": the first word that is no option begins the command. */
	while ((opt = getopt_long(argc, argv, "+p:l:sh", options, NULL)) >= 0) {
		switch (opt) {
		case 'p':
			wish->policy = optarg;
			break;
		case 'l':
			wish->log = optarg;
			break;
		case 's':
			wish->share = true;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		case 'V':
			puts("quicshim-run " QS_VERSION);
			exit(EXIT_SUCCESS);
		default:
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	if (optind == argc) {
		fprintf(stderr, "quicshim-run: no command given\n%s", usage);
		return EXIT_USAGE;
	}
	return 0;
}

/* The command may change its folder. 0 or -errno. */
static int make_absolute(const char *path, char *out, size_t size)
{
	char cwd[PATH_MAX];
	int n;

	if (!*path)
		return -ENOENT;
	if (path[0] == '/') {
		n = snprintf(out, size, "%s", path);
	} else {
		if (!getcwd(cwd, sizeof(cwd)))
			return -errno;
		n = snprintf(out, size, "%s/%s", cwd, path);
	}
	return (size_t)n < size ? 0 : -ENAMETOOLONG;
}

static int set_policy(const struct wish *wish)
{
	struct qs_policy_error error = {0};
	struct qs_policy *policy;
	char path[PATH_MAX];
	int ret;

	if (wish->policy) {
		ret = make_absolute(wish->policy, path, sizeof(path));
	} else {
		char found[PATH_MAX];

		ret = qs_policy_locate(found, sizeof(found));
		if (ret == 0) {
			fputs("quicshim-run: warning: there is no policy file, so nothing will "
			      "travel over QUIC: see policy.conf(5)\n",
			      stderr);
			return 0;
		}
		if (ret > 0)
			ret = make_absolute(found, path, sizeof(path));
	}
	if (ret < 0) {
		fprintf(stderr, "quicshim-run: policy file: %s\n", strerror(-ret));
		return EXIT_USAGE;
	}
	ret = qs_policy_load(path, geteuid(), &policy, &error);
	if (ret < 0) {
		if (error.text[0])
			fprintf(stderr, "quicshim-run: %s\n", error.text);
		else
			fprintf(stderr, "quicshim-run: %s: %s\n", path, strerror(-ret));
		return EXIT_USAGE;
	}
	qs_policy_free(policy);
	if (setenv("QUICSHIM_POLICY", path, 1) < 0) {
		fprintf(stderr, "quicshim-run: %s\n", strerror(errno));
		return EXIT_USAGE;
	}
	return 0;
}

static int set_engine(bool share)
{
	struct qs_identity identity;
	char text[QS_IDENTITY_TEXT], origin[16];

	if (share && qs_identity_parse(getenv(QS_ENGINE_ENV), &identity) == 0)
		return 0;
	if (getrandom(&identity.id, sizeof(identity.id), 0) != sizeof(identity.id) ||
	    getrandom(identity.token, sizeof(identity.token), 0) != sizeof(identity.token)) {
		fprintf(stderr, "quicshim-run: no random numbers: %s\n", strerror(errno));
		return EXIT_USAGE;
	}
	qs_identity_format(text, &identity);
	snprintf(origin, sizeof(origin), "%d", (int)getpid()); /* the command's, as it is exec'ed */
	if (setenv(QS_ENGINE_ENV, text, 1) < 0 || setenv(QS_ORIGIN_ENV, origin, 1) < 0) {
		fprintf(stderr, "quicshim-run: %s\n", strerror(errno));
		return EXIT_USAGE;
	}
	return 0;
}

static int set_log(const char *log)
{
	char path[PATH_MAX];
	int ret;

	if (!log)
		return 0;
	ret = make_absolute(log, path, sizeof(path));
	if (ret == 0 && setenv("QUICSHIM_LOG", path, 1) < 0)
		ret = -errno;
	if (ret < 0) {
		fprintf(stderr, "quicshim-run: log file: %s\n", strerror(-ret));
		return EXIT_USAGE;
	}
	return 0;
}

/* Is `word` one of the entries of LD_PRELOAD? */
static bool preload_has(const char *list, const char *word)
{
	size_t len = strlen(word);

	while (*list) {
		size_t n = strcspn(list, " :");

		if (n == len && memcmp(list, word, n) == 0)
			return true;
		list += n;
		list += strspn(list, " :");
	}
	return false;
}

static int set_preload(void)
{
	const char *had = getenv("LD_PRELOAD");
	char library[PATH_MAX], *list = NULL;
	int ret = qs_library_find(library, sizeof(library));

	if (ret == -EINVAL) {
		fprintf(stderr,
			"quicshim-run: %s: the loader takes no path with a blank, ':' or '$' in "
			"LD_PRELOAD: install quicshim elsewhere\n",
			library);
		return EXIT_USAGE;
	}
	if (ret < 0) {
		fprintf(stderr, "quicshim-run: libquicshim.so: %s\n", strerror(-ret));
		return EXIT_USAGE;
	}
	if (had && preload_has(had, library))
		return 0;
	if (had && *had) {
		if (asprintf(&list, "%s:%s", library, had) < 0)
			list = NULL;
	} else {
		list = strdup(library);
	}
	if (!list || setenv("LD_PRELOAD", list, 1) < 0) {
		fprintf(stderr, "quicshim-run: %s\n", strerror(ENOMEM));
		free(list);
		return EXIT_USAGE;
	}
	free(list);
	return 0;
}

int main(int argc, char **argv)
{
	char file[PATH_MAX];
	const char *obstacle;
	struct wish wish = {0};
	int ret = wish_parse(&wish, argc, argv);

	if (ret == 0)
		ret = set_policy(&wish);
	if (ret == 0)
		ret = set_engine(wish.share);
	if (ret == 0)
		ret = set_log(wish.log);
	if (ret == 0)
		ret = set_preload();
	if (ret)
		return ret;
	argv += optind;
	ret = qs_command_find(argv[0], file, sizeof(file));
	if (ret < 0) {
		fprintf(stderr, "quicshim-run: %s: %s\n", argv[0],
			ret == -ENOENT ? "command not found" : strerror(-ret));
		return ret == -ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
	}
	obstacle = qs_command_obstacle(file);
	if (obstacle)
		fprintf(stderr, "quicshim-run: warning: %s %s\n", file, obstacle);
	execvp(argv[0], argv);
	ret = errno;
	fprintf(stderr, "quicshim-run: %s: %s\n", argv[0], strerror(ret));
	return ret == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}
