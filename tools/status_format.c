/* SPDX-License-Identifier: MIT */
/* Addresses, sizes, times and names as text. */
#include "status_view.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <net/if.h>
#include <string.h>

static const char *const connection_state_name[] = {
	[QS_CONNECTION_HANDSHAKE] = "handshake",
	[QS_CONNECTION_OPEN] = "open",
	[QS_CONNECTION_CLOSING] = "closing",
};
static_assert(sizeof(connection_state_name) / sizeof(char *) == QS_CONNECTION_CLOSING + 1,
	      "one name a state");

static const char *const slot_state_name[] = {
	[QS_SLOT_FREE] = "free",
	[QS_SLOT_CONNECTING] = "connecting",
	[QS_SLOT_OPEN] = "open",
	[QS_SLOT_ENDED] = "ended",
};
static_assert(sizeof(slot_state_name) / sizeof(char *) == QS_SLOT_ENDED + 1, "one name a state");

static const char *const rung_name[] = {
	[QS_RUNG_ALONE] = "alone",
	[QS_RUNG_HASH] = "hash",
	[QS_RUNG_CLASSIC] = "classic",
	[QS_RUNG_EBPF] = "ebpf",
};
static_assert(sizeof(rung_name) / sizeof(char *) == QS_RUNG_EBPF + 1, "one name a rung");

const char *qs_name_connection_state(uint32_t state)
{
	return state <= QS_CONNECTION_CLOSING ? connection_state_name[state] : "?";
}

const char *qs_name_slot_state(uint32_t state)
{
	return state <= QS_SLOT_ENDED ? slot_state_name[state] : "?";
}

const char *qs_name_role(uint32_t server)
{
	return server ? "server" : "client";
}

const char *qs_name_verdict(uint32_t reason)
{
	return reason == QS_REASON_NONE ? "quic" : "tcp";
}

const char *qs_name_rung(uint32_t rung)
{
	return rung <= QS_RUNG_EBPF ? rung_name[rung] : "?";
}

const char *qs_text_addr(char *out, const struct qs_addr *addr)
{
	char ip[INET6_ADDRSTRLEN] = "?";
	char zone[IF_NAMESIZE + 1] = "";

	*out = '\0';
	if (addr->family == AF_INET) {
		inet_ntop(AF_INET, addr->ip, ip, sizeof(ip));
		snprintf(out, QS_TEXT_MAX, "%s:%u", ip, addr->port);
	} else if (addr->family == AF_INET6) {
		inet_ntop(AF_INET6, addr->ip, ip, sizeof(ip));
		if (addr->scope_id) {
			zone[0] = '%';
			if (!if_indextoname(addr->scope_id, zone + 1))
				snprintf(zone + 1, IF_NAMESIZE, "%" PRIu32, addr->scope_id);
		}
		snprintf(out, QS_TEXT_MAX, "[%s%s]:%u", ip, zone, addr->port);
	}
	return out;
}

const char *qs_text_bytes(char *out, uint64_t bytes)
{
	static const char unit[] = "KMGTPE";
	double value = (double)bytes / 1024;
	size_t i = 0;

	if (bytes < 1024) {
		snprintf(out, QS_TEXT_MAX, "%" PRIu64, bytes);
		return out;
	}
	/* 999.95 and above would print as four digits. */
	for (; value >= 999.95 && i + 2 < sizeof(unit); i++)
		value /= 1024;
	snprintf(out, QS_TEXT_MAX, "%.1f%c", value, unit[i]);
	return out;
}

const char *qs_text_age(char *out, uint64_t ms)
{
	uint64_t s = ms / 1000;

	if (ms < 1000)
		snprintf(out, QS_TEXT_MAX, "%" PRIu64 "ms", ms);
	else if (s < 60)
		snprintf(out, QS_TEXT_MAX, "%" PRIu64 ".%" PRIu64 "s", s, ms % 1000 / 100);
	else if (s < 3600)
		snprintf(out, QS_TEXT_MAX, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, QS_TEXT_MAX, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s % 3600 / 60);
	else
		snprintf(out, QS_TEXT_MAX, "%" PRIu64 "d%02" PRIu64 "h", s / 86400,
			 s % 86400 / 3600);
	return out;
}

const char *qs_text_rtt(char *out, uint64_t us)
{
	if (us == 0 || us == UINT64_MAX)
		snprintf(out, QS_TEXT_MAX, "-");
	else if (us < 1000)
		snprintf(out, QS_TEXT_MAX, "%" PRIu64 "us", us);
	else if (us < 1000000)
		snprintf(out, QS_TEXT_MAX, "%.1fms", (double)us / 1000);
	else
		snprintf(out, QS_TEXT_MAX, "%.2fs", (double)us / 1000000);
	return out;
}

const char *qs_text_rule(char *out, const struct qs_status_head *head, uint32_t line)
{
	const char *slash = strrchr(head->policy, '/');
	const char *file = slash ? slash + 1 : head->policy;

	*out = '\0';
	if (line > 0)
		snprintf(out, QS_TEXT_MAX, "%s:%" PRIu32, *file ? file : "policy", line);
	return out;
}
