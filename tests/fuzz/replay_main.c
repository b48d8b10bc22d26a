/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target over a corpus folder, once a file, where libFuzzer is not built in. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX (4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static int replay_file(const char *path)
{
	uint8_t *data = NULL;
	size_t size;
	FILE *f = fopen(path, "rbe");
	int ret = -1;

	if (!f || !(data = malloc(INPUT_MAX)))
		goto out;
	size = fread(data, 1, INPUT_MAX, f);
	if (ferror(f))
		goto out;
	/* An exact allocation, so that ASan sees a read past the end. */
	if (size > 0) {
		uint8_t *exact = realloc(data, size);

		if (!exact)
			goto out;
		data = exact;
	}
	LLVMFuzzerTestOneInput(data, size);
	ret = 0;
out:
	if (ret)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	free(data);
	if (f)
		fclose(f);
	return ret;
}

/* Returns how many files ran, or -1. */
static int replay_path(const char *path)
{
	char name[4096];
	struct stat st;
	struct dirent *entry;
	DIR *dir;
	int n = 0;

	if (stat(path, &st) < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	if (!S_ISDIR(st.st_mode))
		return replay_file(path) ? -1 : 1;
	dir = opendir(path);
	if (!dir) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	while (n >= 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (snprintf(name, sizeof(name), "%s/%s", path, entry->d_name) >= (int)sizeof(name))
			continue;
		n = replay_file(name) ? -1 : n + 1;
	}
	closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	int total = 0;

	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	/* The empty input is in every corpus. */
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++) {
		int n = replay_path(argv[i]);

		if (n < 0)
			return 1;
		total += n;
	}
	printf("%d inputs\n", total);
	return 0;
}
