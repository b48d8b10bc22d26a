/* SPDX-License-Identifier: MIT */
/* steer-size: how big the steering program is, and whether that is within bounds. */
#include "steer.skel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#define EXIT_USAGE 2
#define EXIT_SKIP 77
#define LOG_STATS 4 /* the verifier's summary only */

static char log_text[65536];

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

/* The number that follows a word of the verifier's log; functions' stacks are joined by '+'. */
static long log_number(const char *word)
{
	const char *at = strstr(log_text, word);
	char *end;
	long sum = 0;

	if (!at)
		return -1;
	at += strlen(word);
	for (;;) {
		sum += strtol(at, &end, 10);
		if (*end != '+')
			return sum;
		at = end + 1;
	}
}

static int over(const char *what, long value, long bound)
{
	if (bound <= 0 || (value >= 0 && value <= bound))
		return 0;
	fprintf(stderr, "steer-size: %s: %ld is more than %ld, or unknown\n", what, value, bound);
	return 1;
}

int main(int argc, char **argv)
{
	long bounds[3] = {0}; /* instructions, verified, stack */
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);
	struct steer_bpf *skeleton;
	int result = EXIT_FAILURE;
	long stack, verified;

	if (argc > 4) {
		fputs("usage: steer-size [INSTRUCTIONS [VERIFIED [STACK]]]\n", stderr);
		return EXIT_USAGE;
	}
	for (int i = 1; i < argc; i++)
		bounds[i - 1] = strtol(argv[i], NULL, 10);
	libbpf_set_print(silent);
	skeleton = steer_bpf__open();
	if (!skeleton) {
		perror("steer-size: open");
		return EXIT_FAILURE;
	}
	printf("compiled: %zu instructions\n", bpf_program__insn_cnt(skeleton->progs.steer_select));
	bpf_program__set_log_level(skeleton->progs.steer_select, LOG_STATS);
	bpf_program__set_log_buf(skeleton->progs.steer_select, log_text, sizeof(log_text));
	if (steer_bpf__load(skeleton)) {
		fprintf(stderr, "steer-size: the kernel takes no program from us: %s\n",
			strerror(errno));
		result = errno == EPERM || errno == ENOSYS ? EXIT_SKIP : EXIT_FAILURE;
		fputs(log_text, stderr);
		goto out;
	}
	if (bpf_obj_get_info_by_fd(bpf_program__fd(skeleton->progs.steer_select), &info, &len)) {
		perror("steer-size: info");
		goto out;
	}
	verified = log_number("processed ");
	stack = log_number("stack depth ");
	printf("loaded: %zu instructions, %u octets native\n",
	       info.xlated_prog_len / sizeof(struct bpf_insn), info.jited_prog_len);
	printf("verified: %ld instructions of 1000000\nstack: %ld octets of 512\n", verified,
	       stack);
	if (!(over("instructions", (long)(info.xlated_prog_len / sizeof(struct bpf_insn)),
		   bounds[0]) |
	      over("verified", verified, bounds[1]) | over("stack", stack, bounds[2])))
		result = EXIT_SUCCESS;
out:
	steer_bpf__destroy(skeleton);
	return result;
}
