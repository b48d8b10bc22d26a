/* SPDX-License-Identifier: MIT */
/* /proc/self/fd and fstat call a connection a socket, each with an inode of its own. */
#include "harness.h"

static void show(int fd, const char *name)
{
	char path[64], link[64] = {0};
	struct stat stat;

	sprintf(path, "/proc/self/fd/%d", fd);
	CHECK(readlink(path, link, sizeof(link) - 1) > 0);
	MUST(fstat(fd, &stat));
	ct_note("%s: link %.8s, socket %d, mode %o, size %ld, links %d", name, link,
		S_ISSOCK(stat.st_mode), (unsigned)stat.st_mode & 07777, (long)stat.st_size,
		(int)stat.st_nlink);
	TRY(isatty(fd));
	TRY(open(path, O_RDWR));
}

int main(void)
{
	struct stat one, two, three;
	int pair[2], other;

	ct_init();
	ct_pair(pair);
	show(pair[0], "client");
	show(pair[1], "server");
	show(ct_listener(AF_INET, 5), "listener");
	other = MUST(dup(pair[0]));
	MUST(fstat(pair[0], &one));
	MUST(fstat(pair[1], &two));
	MUST(fstat(other, &three));
	ct_note("apart %d, copy %d", one.st_ino != two.st_ino, one.st_ino == three.st_ino);
	TRY(fchmod(pair[0], 0600));
	TRY(fchdir(pair[0]));
	return 0;
}
