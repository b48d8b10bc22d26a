/* SPDX-License-Identifier: MIT */
/* Listeners that a service manager has opened for this process. */
#ifndef QS_LISTEN_H
#define QS_LISTEN_H

/* Maps those of sd_listen_fds(3) that the policy names. Called once, before main. */
void qs_listen_inherited(void);

#endif
