/* SPDX-License-Identifier: MIT */
/* What the kernel knows of a relay's TCP connection, for the app's TCP_INFO. */
#include "relay.h"
#include "stream.h"

#include <linux/tcp.h>

#define EVERY_NS (5 * QS_MSEC)

void qs_relay_figures(struct qs_relay *relay)
{
	struct qs_engine *engine = relay->stream->engine;
	struct qs_path_figures *f = &engine->pages.page->paths[relay->path];
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (relay->figures_ns != 0 && engine->now_ns - relay->figures_ns < EVERY_NS)
		return;
	relay->figures_ns = engine->now_ns;
	if (getsockopt(relay->source.fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return;
#define PUT(field, value) atomic_store_explicit(&f->field, (value), memory_order_relaxed)
	PUT(rtt_us, info.tcpi_rtt);
	PUT(rttvar_us, info.tcpi_rttvar);
	PUT(min_rtt_us, info.tcpi_min_rtt);
	PUT(mss, info.tcpi_snd_mss);
	PUT(cwnd_bytes, info.tcpi_snd_cwnd * info.tcpi_snd_mss);
	PUT(in_flight_bytes, info.tcpi_unacked * info.tcpi_snd_mss);
	PUT(lost_packets, info.tcpi_lost);
	PUT(retransmits, info.tcpi_total_retrans);
	PUT(ssthresh_bytes, (uint64_t)info.tcpi_snd_ssthresh * info.tcpi_snd_mss);
	PUT(sent_packets, info.tcpi_segs_out);
	PUT(received_packets, info.tcpi_segs_in);
	PUT(delivery_rate, info.tcpi_delivery_rate);
#undef PUT
}
