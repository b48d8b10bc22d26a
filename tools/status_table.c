/* SPDX-License-Identifier: MIT */
/* A small table printer: collects cells, then knows how wide the columns must be. */
#include "status_view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 24
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

/* Makes the columns fit. Returns how many blanks stand between two: one where it is tight. */
static int fit(const struct qs_table *table, size_t *widths, size_t width)
{
	size_t total = 0, gap = 2;

	for (size_t i = 0; i < table->n_columns; i++)
		total += widths[i] + (i ? gap : 0);
	if (width && total > width) {
		total -= table->n_columns - 1;
		gap = 1;
	}
	while (width && total > width) {
		size_t widest = table->n_columns;

		for (size_t i = 0; i < table->n_columns; i++) {
			if (table->columns[i].shrink && widths[i] > SHRUNK_MIN &&
			    (widest == table->n_columns || widths[i] > widths[widest]))
				widest = i;
		}
		if (widest == table->n_columns)
			break;
		widths[widest]--;
		total--;
	}
	return (int)gap;
}

/* What is too long loses its middle: names differ at the front, ports and domains stand at the end. */
static void print_cell(FILE *out, const struct qs_column *column, const char *text, size_t width)
{
	size_t len = strlen(text);

	if (len > width && width >= SHRUNK_MIN) {
		size_t tail = (width - 3) / 2;

		fprintf(out, "%.*s...%s", (int)(width - 3 - tail), text, text + len - tail);
	} else {
		fprintf(out, "%*s", column->right ? (int)width : -(int)width, text);
	}
}

static void print_row(FILE *out, const struct qs_table *table, const char *const *cells,
		      const size_t *widths, int gap)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		const struct qs_column *column = &table->columns[i];

		if (i > 0)
			fprintf(out, "%*s", gap, "");
		/* No blanks at the end of a line. */
		if (i + 1 == table->n_columns && !column->right && strlen(cells[i]) <= widths[i])
			fputs(cells[i], out);
		else
			print_cell(out, column, cells[i], widths[i]);
	}
	fputc('\n', out);
}

int qs_table_print(struct qs_table *table, FILE *out, size_t width)
{
	size_t widths[COLUMNS_MAX] = {0}, n = table->n_columns;
	int ret = table->failed || n > COLUMNS_MAX || table->n_cells % n ? -ENOMEM : 0;

	if (ret == 0) {
		const char *titles[COLUMNS_MAX];
		int gap;

		for (size_t i = 0; i < n; i++) {
			titles[i] = table->columns[i].title;
			widths[i] = strlen(titles[i]);
		}
		for (size_t i = 0; i < table->n_cells; i++) {
			size_t len = strlen(table->cells[i]);

			if (len > widths[i % n])
				widths[i % n] = len;
		}
		gap = fit(table, widths, width);
		print_row(out, table, titles, widths, gap);
		for (size_t i = 0; i < table->n_cells; i += n)
			print_row(out, table, (const char *const *)&table->cells[i], widths, gap);
	}
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i]);
	free(table->cells);
	*table = (struct qs_table){0};
	return ret;
}
