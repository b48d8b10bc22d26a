/* SPDX-License-Identifier: MIT */
/* Whether what came over our sockets is what control.h says. The first look at hostile bytes. */
#ifndef QS_HEADER_H
#define QS_HEADER_H

#include "control.h"

/* `len` octets were received into *req. True if it is a connect header whose every field may be
 * used: strings end, counts and families are in range. The token is not judged here. */
bool qs_header_is_connect(const struct qs_connect_req *req, size_t len);
/* The same for a control request. */
bool qs_header_is_control(const struct qs_control_req *req, size_t len);

/* Both sockets are of one network namespace: a port that was bound, or a mark that was set, in one of the sender's own
 * making proves nothing. */
bool qs_header_same_net(int a, int b);

#endif
