/* SPDX-License-Identifier: MIT */
/* Socket addresses of mapped descriptors. */
#ifndef QS_ADDRESS_H
#define QS_ADDRESS_H

#include "../engine/control.h"

/* Hands an address to the app as the kernel does: cut to *out_len, which becomes the true length. */
void qs_address_give(const struct sockaddr_storage *addr, socklen_t len, struct sockaddr *out,
		     socklen_t *out_len);

#endif
