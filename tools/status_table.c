/* SPDX-License-Identifier: MIT */
/* A small table printer: collects cells, then knows how wide the columns must be. */
#include "status_view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 24
#define GAP 2	     /* blanks between columns */
#define SHRUNK_MIN 9 /* no column is cut below this */

void qs_table_init(struct qs_table *table, const struct qs_column *columns, size_t n_columns)
{
	*table = (struct qs_table){.columns = columns, .n_columns = n_columns};
}

void qs_table_add(struct qs_table *table, const char *text)
{
	if (table->n_cells == table->room) {
		size_t room = table->room ? 2 * table->room : 64;
		char **grown = realloc(table->cells, room * sizeof(*grown));

		if (!grown) {
			table->failed = true;
			return;
		}
		table->cells = grown;
		table->room = room;
	}
	table->cells[table->n_cells] = strdup(*text ? text : "-");
	if (table->cells[table->n_cells])
		table->n_cells++;
	else
		table->failed = true;
}

void qs_table_add_u64(struct qs_table *table, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	qs_table_add(table, text);
}

static void fit(const struct qs_table *table, size_t *widths, size_t width)
{
	size_t total = 0;

	for (size_t i = 0; i < table->n_columns; i++)
		total += widths[i] + (i ? GAP : 0);
	while (width && total > width) {
		size_t widest = table->n_columns;

		for (size_t i = 0; i < table->n_columns; i++) {
			if (table->columns[i].shrink && widths[i] > SHRUNK_MIN &&
			    (widest == table->n_columns || widths[i] > widths[widest]))
				widest = i;
		}
		if (widest == table->n_columns)
			return;
		widths[widest]--;
		total--;
	}
}

static void print_cell(FILE *out, const struct qs_column *column, const char *text, size_t width,
		       bool last)
{
	size_t len = strlen(text);

	if (len > width && width > 3)
		fprintf(out, "%.*s...", (int)(width - 3), text);
	else if (last && !column->right)
		fputs(text, out);
	else
		fprintf(out, "%*s", column->right ? (int)width : -(int)width, text);
	if (!last)
		fprintf(out, "%*s", GAP, "");
}

int qs_table_print(struct qs_table *table, FILE *out, size_t width)
{
	size_t widths[COLUMNS_MAX] = {0}, n = table->n_columns;
	int ret = table->failed || n > COLUMNS_MAX ? -ENOMEM : 0;

	if (ret == 0) {
		for (size_t i = 0; i < n; i++)
			widths[i] = strlen(table->columns[i].title);
		for (size_t i = 0; i < table->n_cells; i++) {
			size_t len = strlen(table->cells[i]);

			if (len > widths[i % n])
				widths[i % n] = len;
		}
		fit(table, widths, width);
		for (size_t i = 0; i < n; i++)
			print_cell(out, &table->columns[i], table->columns[i].title, widths[i],
				   i + 1 == n);
		fputc('\n', out);
		for (size_t i = 0; i < table->n_cells; i++) {
			bool last = i % n + 1 == n;

			print_cell(out, &table->columns[i % n], table->cells[i], widths[i % n],
				   last);
			if (last)
				fputc('\n', out);
		}
	}
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i]);
	free(table->cells);
	*table = (struct qs_table){0};
	return ret;
}
