/* SPDX-License-Identifier: MIT */
/* Clients' connections follow this host's addresses and routes. Engine thread only. */
#ifndef QS_MIGRATE_H
#define QS_MIGRATE_H

#include "conn.h"

/* A client's connection begins: from now on the kernel's news are heard, if its rule wants that. */
void qs_migrate_watch(struct qs_conn *conn);
/* The engine ends. */
void qs_migrate_close(struct qs_engine *engine);

/* Within ngtcp2's callbacks: they note what the next round shall do. Of clients only: */
void qs_migrate_confirmed(struct qs_conn *conn);
/* Before the connection's own addresses are changed. Of servers too: it counts. */
void qs_migrate_validated(struct qs_conn *conn, const ngtcp2_path *path,
			  ngtcp2_path_validation_result result);

#endif
