/* SPDX-License-Identifier: MIT */
/* TCP_INFO of mapped descriptors, from the figures of the QUIC path. */
#include "pages.h"
#include "raw.h"
#include "sock.h"
#include "sockopt.h"

#include <linux/tcp.h>
#include <poll.h>
#include <string.h>
#include <time.h>

/* The kernel's names for tcpi_state; <netinet/tcp.h>, which has them, does not go with
 * <linux/tcp.h>. */
enum { ESTABLISHED = 1, SYN_SENT = 2, CLOSED = 7, CLOSE_WAIT = 8, LISTENING = 10 };

#define RTO_MIN_US 200000u
#define NO_LIMIT UINT64_MAX
#define INFINITE_SSTHRESH 0x7fffffffu

static uint8_t state_of(int fd, const struct qs_mark *mark, const struct qs_slot_view *slot)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};
	struct timespec now = {0};

	switch (mark->state) {
	case QS_MARK_CONNECTING:
		return SYN_SENT;
	case QS_MARK_LISTENER:
		return LISTENING;
	case QS_MARK_FAILED:
		return CLOSED;
	case QS_MARK_OPEN:
		break;
	}
	if (mark->error == QS_TOLD_END || (slot && slot->state == QS_SLOT_ENDED))
		return CLOSED;
	return qs_raw6(SYS_ppoll, (long)&p, 1, (long)&now, 0, 8, 0) > 0 ? CLOSE_WAIT : ESTABLISHED;
}

/* Of this stream, and as it is now: the path's figures count all of its streams, and stand still when it does. */
static uint32_t unacked(const struct qs_slot_view *slot, uint32_t mss)
{
	uint64_t bytes, segments;

	/* What will never be acknowledged is no longer waited for. */
	if (slot->state == QS_SLOT_ENDED || slot->sent_bytes <= slot->acked_bytes)
		return 0;
	bytes = slot->sent_bytes - slot->acked_bytes;
	segments = bytes / mss + (bytes % mss != 0);
	return segments < UINT32_MAX ? (uint32_t)segments : UINT32_MAX;
}

static void fill(struct tcp_info *info, const struct qs_slot_view *slot,
		 const struct qs_path_figures *path)
{
	uint32_t mss = path->mss ? path->mss : 1448;

	info->tcpi_snd_mss = info->tcpi_rcv_mss = info->tcpi_advmss = mss;
	info->tcpi_pmtu = mss + 40;
	info->tcpi_rtt = path->rtt_us;
	info->tcpi_rttvar = path->rttvar_us;
	info->tcpi_min_rtt = path->min_rtt_us;
	info->tcpi_rto = path->rtt_us + 4 * path->rttvar_us;
	if (info->tcpi_rto < RTO_MIN_US)
		info->tcpi_rto = RTO_MIN_US;
	info->tcpi_snd_cwnd = path->cwnd_bytes / mss;
	info->tcpi_snd_ssthresh = path->ssthresh_bytes / mss >= INFINITE_SSTHRESH
					  ? INFINITE_SSTHRESH
					  : (uint32_t)(path->ssthresh_bytes / mss);
	info->tcpi_unacked = unacked(slot, mss);
	info->tcpi_total_retrans = path->retransmits;
	info->tcpi_segs_out = (uint32_t)path->sent_packets;
	info->tcpi_segs_in = (uint32_t)path->received_packets;
	info->tcpi_delivery_rate = path->delivery_rate;
	info->tcpi_bytes_sent = slot->sent_bytes;
	info->tcpi_bytes_acked = slot->acked_bytes;
	info->tcpi_bytes_received = slot->received_bytes;
}

int qs_sockopt_tcp_info(int fd, const struct qs_mark *mark, void *value, socklen_t *len)
{
	struct tcp_info info;
	struct qs_path_figures path;
	struct qs_slot_view slot;
	bool has_slot = qs_pages_slot(mark, &slot);

	memset(&info, 0, sizeof(info));
	info.tcpi_state = state_of(fd, mark, has_slot ? &slot : NULL);
	info.tcpi_pacing_rate = info.tcpi_max_pacing_rate = NO_LIMIT;
	info.tcpi_reordering = 3;
	if (has_slot && mark->state == QS_MARK_OPEN && qs_pages_figures(mark, slot.path, &path))
		fill(&info, &slot, &path);
	return qs_sockopt_give(&info, sizeof(info), value, len);
}
