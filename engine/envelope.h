/* SPDX-License-Identifier: MIT */
/* Plain TCP connections of a listener: on their way into the app, or out again. Engine thread only. */
#ifndef QS_ENVELOPE_H
#define QS_ENVELOPE_H

#include "engine.h"

struct qs_envelope {
	struct qs_source source; /* connected to the app's listener; -1 while there is no room */
	struct qs_grave grave;
	TAILQ_ENTRY(qs_envelope) link;
	struct qs_listener *listener;
	int tcp_fd; /* -1 while it is in the envelope */
	bool counted; /* delivered before, and sent back */
	bool returned; /* it came back, and there was no descriptor to open it with */
	bool own_linger; /* SO_LINGER was off; it is set for the way */
	struct qs_addr local, peer;
};

/* Makes the listener's TCP socket listen, and accepts on it from now on. 0 or -errno. */
int qs_envelope_listen(struct qs_listener *listener, int backlog);
/* The TCP socket listens already, in mode quic: who comes there is reset from now on. 0 or -errno. */
int qs_envelope_turn_away(struct qs_listener *listener);
/* No more; what is held is closed. The TCP socket stays open. */
void qs_envelope_stop(struct qs_listener *listener);

#endif
