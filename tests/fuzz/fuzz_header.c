/* SPDX-License-Identifier: MIT */
/* Connect headers and control requests as a stranger may send them: checked, then used as the
 * engine uses them. */
#include "header.h"
#include "policy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char policy_text[] =
	"[connect *.example.com *]\nmode = quic\n[connect 10.0.0.0/8 1-1000]\nmode = quic\n"
	"[connect * *]\nmode = tcp\n";

static void use_connect(const struct qs_connect_req *req, const struct qs_policy *policy)
{
	const char *names[QS_NAMES_MAX];
	const struct qs_rule *rule;
	struct sockaddr_storage sa;

	for (unsigned i = 0; i < req->n_names; i++)
		names[i] = req->names[i];
	if (qs_addr_to_sockaddr(&req->dest, req->dest.family, &sa) == 0)
		abort();
	rule = qs_policy_find_connect(policy, (struct sockaddr *)&sa, names, req->n_names);
	if (rule == NULL)
		abort(); /* the last section takes all */
	qs_rule_server_name(rule, names, req->n_names);
	if (req->source.family != 0)
		qs_addr_to_sockaddr(&req->source, req->source.family, &sa);
	if (strlen(req->device) >= sizeof(req->device))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct qs_policy *policy;
	static struct qs_connect_req req;
	struct qs_control_req control;

	if (policy == NULL &&
	    qs_policy_parse("fuzz", policy_text, sizeof(policy_text) - 1, &policy, NULL) < 0)
		abort();
	memset(&req, 0xa5, sizeof(req)); /* what was not received must not be read */
	memcpy(&req, data, size < sizeof(req) ? size : sizeof(req));
	/* Let the fuzzer past the first numbers. */
	if (size > 8 && data[8] & 1) {
		req.magic = QS_CONNECT_MAGIC;
		req.version = QS_PROTOCOL_VERSION;
	}
	if (qs_header_is_connect(&req, size))
		use_connect(&req, policy);
	memset(&control, 0, sizeof(control));
	memcpy(&control, data, size < sizeof(control) ? size : sizeof(control));
	(void)qs_header_is_control(&control, size);
	return 0;
}
