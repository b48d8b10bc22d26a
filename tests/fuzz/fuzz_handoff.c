/* SPDX-License-Identifier: MIT */
/* Messages between engines that share a UDP port, as a stranger may send them: checked, then used. */
#include "handoff.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_serve(const struct qs_serve *serve)
{
	struct qs_serve other = *serve;
	struct qs_addr local = serve->endpoint;

	if (!qs_serve_clash(serve, &other) && (serve->cookie == 0 && !serve->reuseport))
		abort();
	(void)qs_serve_fit(serve, &local, "www.example.com");
	(void)qs_serve_fit(serve, &local, serve->name);
	if (strlen(serve->alpn) >= QS_SERVE_ALPN || strlen(serve->program) >= 32)
		abort();
}

static void use_train(const struct qs_udp_train *train, const uint8_t *end)
{
	size_t sum = 0;

	for (size_t at = 0; at < train->len; at += train->segment)
		sum += train->data[at];
	if (train->data + train->len != end || train->segment == 0 || sum == (size_t)-1)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static _Alignas(8) uint8_t message[QS_HANDOFF_MAX];
	struct qs_handoff_head *head = (struct qs_handoff_head *)(void *)message;
	struct qs_handoff out;

	if (size > sizeof(message))
		return 0;
	memset(message, 0xa5, sizeof(message)); /* what was not received must not be read */
	memcpy(message, data, size);
	/* Let the fuzzer past the first number. */
	if (size > 4 && data[0] & 1)
		head->magic = QS_HANDOFF_MAGIC;
	if (qs_handoff_parse(message, size, &out) < 0)
		return 0;
	if (out.serve != NULL)
		use_serve(out.serve);
	if (out.hello != NULL && strlen(out.hello->program) >= sizeof(out.hello->program))
		abort();
	if (out.train.len > 0)
		use_train(&out.train, message + size);
	return 0;
}
