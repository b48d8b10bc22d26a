/* SPDX-License-Identifier: MIT */
/* The text of /proc/PID/stat and status: names in it are chosen by strangers. */
#include "process.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qs_process process = {0};
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	qs_process_parse_stat(text, &process);
	if (qs_process_parse_status(text, &process) == 0 &&
	    process.n_groups > QS_PROCESS_GROUPS_MAX)
		abort();
	free(text);
	return 0;
}
