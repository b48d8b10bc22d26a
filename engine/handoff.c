/* SPDX-License-Identifier: MIT */
/* Messages between engines that share a UDP port: their form, and the check of what came. */
#include "handoff.h"

#include <errno.h>
#include <string.h>

void qs_handoff_head(struct qs_handoff_head *out, enum qs_handoff_type type, uint32_t number)
{
	*out = (struct qs_handoff_head){
		.magic = QS_HANDOFF_MAGIC, .type = (uint8_t)type, .number = number};
}

int qs_handoff_train(struct qs_handoff_head *out, enum qs_handoff_type type, uint32_t number,
		     const struct qs_udp_train *train)
{
	int rv;

	qs_handoff_head(out, type, number);
	out->ecn = train->ecn;
	out->segment = (uint32_t)train->segment;
	out->ifindex = train->ifindex;
	rv = qs_addr_from_sockaddr(&out->local, (const struct sockaddr *)&train->local,
				   train->local_len);
	if (rv == 0)
		rv = qs_addr_from_sockaddr(&out->remote, (const struct sockaddr *)&train->remote,
					   train->remote_len);
	return rv;
}

static bool has_text(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static int parse_train(const struct qs_handoff_head *head, uint8_t *data, size_t len,
		       struct qs_udp_train *out)
{
	if (len == 0 || len > QS_UDP_TRAIN_MAX || head->segment == 0 || head->segment > len ||
	    (head->local.family != AF_INET && head->local.family != AF_INET6) ||
	    head->remote.family != head->local.family || head->remote.port == 0 ||
	    head->local.port == 0)
		return -EPROTO;
	*out = (struct qs_udp_train){.data = data,
				     .len = len,
				     .segment = head->segment,
				     .ecn = head->ecn & 3,
				     .ifindex = head->ifindex};
	out->local_len = qs_addr_to_sockaddr(&head->local, head->local.family, &out->local);
	out->remote_len = qs_addr_to_sockaddr(&head->remote, head->remote.family, &out->remote);
	return out->local_len > 0 && out->remote_len > 0 ? 0 : -EPROTO;
}

int qs_handoff_parse(void *message, size_t len, struct qs_handoff *out)
{
	struct qs_handoff_head *head = message;
	uint8_t *body = (uint8_t *)message + sizeof(*head);

	memset(out, 0, sizeof(*out));
	if (len < sizeof(*head) || head->magic != QS_HANDOFF_MAGIC)
		return -EPROTO;
	len -= sizeof(*head);
	out->type = (enum qs_handoff_type)head->type;
	out->number = head->number;
	switch (out->type) {
	case QS_HANDOFF_HELLO:
		out->hello = (struct qs_handoff_hello *)(void *)body;
		return len == sizeof(*out->hello) &&
				       has_text(out->hello->program, sizeof(out->hello->program))
			       ? 0
			       : -EPROTO;
	case QS_HANDOFF_SERVE:
		out->serve = (struct qs_serve *)(void *)body;
		return len == sizeof(*out->serve) && qs_serve_valid(out->serve) ? 0 : -EPROTO;
	case QS_HANDOFF_BOUND:
		if (len != sizeof(out->bound_ns))
			return -EPROTO;
		memcpy(&out->bound_ns, body, sizeof(out->bound_ns));
		return out->bound_ns != 0 ? 0 : -EPROTO;
	case QS_HANDOFF_INDEX:
		if (len != sizeof(out->nonce))
			return -EPROTO;
		memcpy(&out->nonce, body, sizeof(out->nonce));
		return 0;
	case QS_HANDOFF_CLASSIC:
		return len == 0 && out->number <= 1 ? 0 : -EPROTO;
	case QS_HANDOFF_DOUBT:
	case QS_HANDOFF_STEER:
	case QS_HANDOFF_SERVES:
	case QS_HANDOFF_SYNC:
	case QS_HANDOFF_ACK:
		return len == 0 ? 0 : -EPROTO;
	case QS_HANDOFF_PACKETS:
	case QS_HANDOFF_FLIGHT:
	case QS_HANDOFF_ORPHAN:
		return parse_train(head, body, len, &out->train);
	case QS_HANDOFF_N_TYPES:
		break;
	}
	return -EPROTO;
}
