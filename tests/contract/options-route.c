/* SPDX-License-Identifier: MIT */
/* SO_MARK and SO_BINDTODEVICE before connect: the packets carry them, so what differs in them shares no connection. */
#include "harness.h"

#include <net/if.h>

static struct ct_addr server;
static int listener;

/* Connects with these options, both ends say a word. Returns the client's end, which stays. */
static int talk(const char *what, int mark, const char *device)
{
	int fd = ct_socket(AF_INET, 0), accepted;
	char word[8] = "";

	if (mark)
		MUST(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)));
	if (device)
		MUST(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device,
				(socklen_t)strlen(device) + 1));
	MUST(connect(fd, SA(&server)));
	ct_prove(fd);
	accepted = ct_accept(listener);
	MUST(ct_write_full(fd, "word", 4));
	MUST(ct_read_full(accepted, word, 4));
	ct_note("%s: %s", what, word);
	return fd;
}

/* How often `what` stands in the output of `command`, which the shim has no part in. */
static int count(const char *command, const char *what)
{
	char line[65536], full[1024];
	int n = 0;
	FILE *pipe;

	snprintf(full, sizeof(full), "env -u LD_PRELOAD %s", command);
	pipe = popen(full, "r");
	CHECK(pipe != NULL);
	while (fgets(line, sizeof(line), pipe) != NULL)
		for (const char *at = line; (at = strstr(at, what)) != NULL; at++)
			n++;
	CHECK(pclose(pipe) == 0);
	return n;
}

/* The engine's sockets, in a namespace where nobody else has any, and its connections. */
static void look_at_engine(void)
{
	const char *shim = getenv("LD_PRELOAD"), *last;
	char status[800];

	if (getenv("QS_EXPECT_MAPPED") == NULL)
		return;
	CHECK(count("ss -Huane", "fwmark:0x5") == 1);
	CHECK(count("ss -Huane", "fwmark:0x6") == 1);
	CHECK(count("ss -Huane", "%lo:") == 1);
	/* Without options, 5, 6, the device; and the server's. */
	CHECK(count("ss -Huane", "ino:") == 5);
	CHECK(shim != NULL);
	last = strrchr(shim, ' '); /* a sanitizer's library may be before it */
	shim = last != NULL ? last + 1 : shim;
	last = strrchr(shim, '/');
	CHECK(last != NULL);
	snprintf(status, sizeof(status), "%.*s/../bin/quicshim-status --json", (int)(last - shim),
		 shim);
	CHECK(count(status, "\"sni\":") == 8); /* four connections, and both their ends are here */
}

/* A rule of this namespace's by which packets with mark 9 have no way. */
static void no_way(void)
{
	int fd = ct_socket(AF_INET, 0), mark = 9;

	if (system("env -u LD_PRELOAD sh -c 'ip rule add prio 100 lookup local && "
		   "ip rule del prio 0 lookup local && "
		   "ip rule add prio 10 fwmark 9 unreachable' 2>/dev/null") != 0) {
		ct_note("no rules here");
		return;
	}
	MUST(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)));
	TRY(connect(fd, SA(&server)));
}

int main(void)
{
	ct_init_own_net();
	if (geteuid() != 0)
		ct_skip("SO_MARK is root's");
	if (system("command -v ss >/dev/null && command -v ip >/dev/null") != 0)
		ct_skip("no ss and ip (iproute2)");
	listener = ct_listener(AF_INET, 8);
	server = ct_local(listener);
	talk("without", 0, NULL);
	talk("mark 5", 5, NULL);
	talk("mark 6", 6, NULL);
	talk("mark 5 again", 5, NULL);
	talk("device", 0, "lo");
	look_at_engine();
	no_way();
	talk("without", 0, NULL);
	return 0;
}
