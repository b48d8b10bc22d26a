/* SPDX-License-Identifier: MIT */
/* FIONREAD counts what can be read; SIOCOUTQ falls to 0 when all is delivered; SIOCATMARK. */
#include "harness.h"

#include <linux/sockios.h>

int main(void)
{
	char buffer[8];
	int pair[2], n = -1;

	ct_init();
	ct_pair(pair);
	TRY(ioctl(pair[1], FIONREAD, &n));
	ct_note("empty %d", n);
	TRY(write(pair[0], "hello", 5));
	do
		MUST(ioctl(pair[1], FIONREAD, &n));
	while (n < 5);
	ct_note("full %d", n);
	TRY(read(pair[1], buffer, 2));
	TRY(ioctl(pair[1], FIONREAD, &n));
	ct_note("rest %d", n);
	do
		MUST(ioctl(pair[0], SIOCOUTQ, &n));
	while (n > 0);
	ct_note("unsent %d", n);
	TRY(ioctl(pair[1], SIOCATMARK, &n));
	TRY(ioctl(pair[1], 0x12345678, &n));
	return 0;
}
