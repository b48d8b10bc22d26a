/* SPDX-License-Identifier: MIT */
/* dup, dup2, dup3 from and over connections: one connection, closed with its last descriptor. */
#include "harness.h"

static void server(int listener)
{
	int first = ct_accept(listener), second = ct_accept(listener);

	TRY(ct_read_full(first, (char[8]){0}, 6));
	/* The client puts its second connection over its first. */
	TRY(read(first, (char[8]){0}, 1));
	TRY(ct_write_full(second, "two", 3));
	TRY(read(second, (char[8]){0}, 1));
	TRY(close(second));
}

static void client(int port)
{
	int first = ct_connect(AF_INET, port), second = ct_connect(AF_INET, port), other;
	char word[4] = {0};

	other = MUST(dup(first));
	ct_prove(other);
	TRY(write(other, "abc", 3));
	TRY(close(other));
	TRY(write(first, "def", 3));
	TRY(dup2(second, first) == first);
	ct_prove(first);
	TRY(close(second));
	TRY(ct_read_full(first, word, 3));
	ct_note("read %s", word);
	TRY(dup3(first, first, O_CLOEXEC));
	TRY(dup2(first, first) == first);
	other = (int)TRY(dup3(first, 40, O_CLOEXEC));
	TRY(fcntl(other, F_GETFD));
	TRY(close(first));
	TRY(shutdown(other, SHUT_WR));
	TRY(read(other, word, 1));
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
