/* SPDX-License-Identifier: MIT */
/* The human form of what mode prefer adds: connections that took TCP, and where QUIC failed. */
#include "status_view.h"

#include <inttypes.h>

#define SHOWN 10u /* the last ones, without -v */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int print_verdicts(FILE *out, const struct qs_snapshot *s, bool verbose)
{
	static const struct qs_column columns[] = {
		{"TCP", false, false},	 {"PID", true, false},	   {"PROGRAM", false, true},
		{"REMOTE", false, true}, {"REASON", false, false}, {"CAUSE", false, false},
		{"RETRY", true, false},	 {"AGO", true, false},	   {"RULE", true, false},
	};
	char text[QS_TEXT_MAX];
	struct qs_table table;

	qs_table_init(&table, columns, COUNT(columns));
	for (uint32_t i = 0; i < s->head.n_verdicts && (verbose || i < SHOWN); i++) {
		const struct qs_status_verdict *v = &s->verdicts[i];
		bool remembered = v->reason == QS_REASON_REMEMBERED;

		qs_table_add(&table, v->server ? "in" : "out");
		snprintf(text, sizeof(text), "%" PRId64, v->pid);
		qs_table_add(&table, v->pid > 0 ? text : "-");
		qs_table_add(&table, v->program);
		qs_table_add(&table, qs_text_addr(text, &v->remote));
		qs_table_add(&table, qs_reason_name(v->reason));
		qs_table_add(&table, remembered ? qs_reason_name(v->cause) : "");
		qs_table_add(&table, remembered ? qs_text_age(text, v->retry_ms) : "");
		qs_table_add(&table, qs_text_age(text, v->age_ms));
		snprintf(text, sizeof(text), ":%" PRIu32, v->rule_line);
		qs_table_add(&table, v->rule_line ? text : "");
	}
	return qs_table_print(&table, out, verbose ? 0 : QS_WIDTH);
}

static int print_failures(FILE *out, const struct qs_snapshot *s, bool verbose)
{
	static const struct qs_column columns[] = {
		{"QUIC FAILED AT", false, true}, {"ALPN", false, true},	 {"REASON", false, false},
		{"TIMES", true, false},		 {"RETRY", true, false},
	};
	char text[QS_TEXT_MAX];
	struct qs_table table;

	qs_table_init(&table, columns, COUNT(columns));
	for (uint32_t i = 0; i < s->head.n_failures; i++) {
		const struct qs_status_failure *f = &s->failures[i];

		qs_table_add(&table, qs_text_addr(text, &f->destination));
		qs_table_add(&table, f->alpn);
		qs_table_add(&table, qs_reason_name(f->reason));
		qs_table_add_u64(&table, f->failures);
		qs_table_add(&table, f->retry_ms ? qs_text_age(text, f->retry_ms) : "next");
	}
	return qs_table_print(&table, out, verbose ? 0 : QS_WIDTH);
}

int qs_status_text_fallbacks(FILE *out, const struct qs_snapshot *s, bool verbose)
{
	int ret = 0;

	if (s->head.n_failures) {
		fputc('\n', out);
		ret = print_failures(out, s, verbose);
	}
	if (ret == 0 && s->head.n_verdicts) {
		fputc('\n', out);
		ret = print_verdicts(out, s, verbose);
	}
	return ret;
}
