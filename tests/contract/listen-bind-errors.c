/* SPDX-License-Identifier: MIT */
/* bind: EACCES for a privileged port, EADDRNOTAVAIL, EINVAL twice, EAFNOSUPPORT. */
#include "harness.h"

static int first_free_port(void)
{
	char text[16] = "1024";
	FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");

	if (file != NULL) {
		if (fgets(text, sizeof(text), file) == NULL)
			text[0] = '0';
		fclose(file);
	}
	return atoi(text);
}

int main(void)
{
	struct ct_addr addr;
	int fd;
	pid_t pid;

	ct_init();
	if (first_free_port() <= 81)
		ct_skip("every port is free for everybody here");
	pid = ct_fork("nobody");
	if (pid == 0) {
		if (geteuid() == 0)
			MUST(setresuid(65534, 65534, 65534));
		addr = ct_loopback(AF_INET, 81);
		TRY(bind(ct_socket(AF_INET, 0), SA(&addr)));
		_exit(0);
	}
	ct_reap(pid);
	fd = ct_socket(AF_INET, 0);
	addr = ct_addr_of("203.0.113.77", 0);
	TRY(bind(fd, SA(&addr)));
	addr = ct_loopback(AF_INET6, 0);
	TRY(bind(fd, SA(&addr)));
	addr = ct_loopback(AF_INET, 0);
	TRY(bind(fd, (struct sockaddr *)&addr.ss, 3));
	TRY(bind(fd, SA(&addr)));
	TRY(bind(fd, SA(&addr)));
	TRY(listen(fd, 5));
	ct_prove(fd);
	TRY(bind(fd, SA(&addr)));
	TRY(listen(-1, 5));
	TRY(listen(STDIN_FILENO, 5));
	return 0;
}
