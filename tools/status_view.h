/* SPDX-License-Identifier: MIT */
/* What quicshim-status makes of snapshots: tables for people, JSON for programs. */
#ifndef QS_STATUS_VIEW_H
#define QS_STATUS_VIEW_H

#include "status_read.h"

#include <stdio.h>

#define QS_WIDTH 100 /* columns of the human form without -v */
#define QS_TEXT_MAX 300

/* Each writes a short text into `out` (QS_TEXT_MAX bytes) and returns it. */
const char *qs_text_addr(char *out,
			 const struct qs_addr *addr); /* "1.2.3.4:80", "[::1]:80", "" = none */
const char *qs_text_bytes(char *out, uint64_t bytes); /* "17", "1.2K", "3.4G" */
const char *qs_text_age(char *out, uint64_t ms); /* "40ms", "3.2s", "5m12s", "2d03h" */
const char *qs_text_rtt(char *out, uint64_t us); /* "87us", "1.2ms", "1.30s" */
const char *qs_text_rule(char *out, const struct qs_status_head *head, uint32_t line);

const char *qs_name_connection_state(uint32_t state);
const char *qs_name_slot_state(uint32_t state);
const char *qs_name_role(uint32_t server);
const char *qs_name_verdict(uint32_t reason); /* "quic", or "tcp" for any reason but none */
const char *qs_name_rung(uint32_t rung);

/* A table of text. Columns are as wide as their content; where the whole passes the width, the columns
 * that may shrink lose their ends ("..."). */
struct qs_column {
	const char *title;
	bool right; /* numbers */
	bool shrink; /* may be cut */
};
struct qs_table {
	const struct qs_column *columns;
	size_t n_columns;
	char **cells; /* row by row */
	size_t n_cells, room;
	bool failed; /* no memory */
};
void qs_table_init(struct qs_table *table, const struct qs_column *columns, size_t n_columns);
void qs_table_add(struct qs_table *table, const char *text);
void qs_table_add_u64(struct qs_table *table, uint64_t number);
/* Prints (width 0 = unlimited) and frees. 0 or -ENOMEM. */
int qs_table_print(struct qs_table *table, FILE *out, size_t width);

/* 0 or -errno. */
int qs_status_text(FILE *out, const struct qs_snapshot *snapshots, size_t n, bool verbose);
/* Mode prefer: the connections that took TCP, and where QUIC failed. 0 or -ENOMEM. */
int qs_status_text_fallbacks(FILE *out, const struct qs_snapshot *s, bool verbose);
int qs_status_json(FILE *out, const struct qs_snapshot *snapshots, size_t n);

#endif
