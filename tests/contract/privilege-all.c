/* SPDX-License-Identifier: MIT */
/* A daemon that gives up all it can, one thing after the other: a low port and a key of root's first, then chroot, groups,
 * user, bounding set, capabilities, new privileges. Its engine follows in each, and it still serves new clients. */
#include "harness.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>

#define NOBODY 65534
#define LOW_PORT 443 /* of 127.0.0.1; this program has a network of its own */
#define BIT(cap) (UINT64_C(1) << (cap))

/* The server does not see /proc once it is in its folder: a child does, and says when it has looked. */
struct watch {
	int channel;
	pid_t pid;
};

static void watch_run(int channel, pid_t server, int listener)
{
	char what[32];

	ct_as("watch");
	while (recv(channel, what, sizeof(what), 0) > 0) {
		ct_privileges_of(server, what, listener, false);
		CHECK(send(channel, "", 1, 0) == 1);
	}
	_exit(0);
}

static void look(const struct watch *watch, const char *what)
{
	char byte;

	CHECK(send(watch->channel, what, strlen(what) + 1, 0) > 0);
	CHECK(recv(watch->channel, &byte, 1, 0) == 1);
}

/* A program with an engine of its own, which makes a new QUIC connection. */
static void be_client(void)
{
	int fd;
	char word[8] = "";

	ct_as("client");
	fd = ct_connect(AF_INET, LOW_PORT);
	MUST(ct_write_full(fd, "hello", 5));
	MUST(ct_read_full(fd, word, 5));
	ct_note("%s", word);
	exit(0);
}

/* Started while there is a /proc; waits on `gate` for its turn. */
static pid_t start_client(int gate)
{
	char byte;
	pid_t pid = ct_fork("client");

	if (pid != 0)
		return pid;
	CHECK(read(gate, &byte, 1) == 1);
	unsetenv("QUICSHIM_ENGINE");
	ct_exec_self("client");
}

static void serve(int listener, int gate, pid_t client)
{
	char word[8] = "";
	int peer;

	CHECK(write(gate, "", 1) == 1);
	peer = MUST(accept(listener, NULL, NULL));
	TRY(ct_read_full(peer, word, 5));
	TRY(ct_write_full(peer, word, 5));
	close(peer);
	ct_reap(client);
}

/* All of them; the last are of kernels that this program's headers do not know. */
static void drop_bounding(void)
{
	int dropped = 0;

	for (unsigned cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		dropped += prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0;
	ct_note("%d dropped of the bounding set", dropped);
}

int main(void)
{
	struct ct_addr low = ct_addr_of("127.0.0.1", LOW_PORT);
	int listener, channel[2], gate[2];
	struct watch watch;
	pid_t early, late;

	ct_init_own_net();
	if (ct_role() != NULL && strcmp(ct_role(), "client") == 0)
		be_client();
	if (geteuid() != 0)
		ct_skip("not root");
	listener = ct_socket(AF_INET, 0);
	TRY(bind(listener, SA(&low)));
	TRY(listen(listener, 8));
	ct_prove(listener);
	MUST(pipe2(gate, O_CLOEXEC));
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel));
	watch.channel = channel[0];
	watch.pid = ct_fork("watch");
	if (watch.pid == 0) {
		close(channel[0]);
		watch_run(channel[1], getppid(), listener);
	}
	close(channel[1]);
	look(&watch, "root");
	early = start_client(gate[0]);
	serve(listener, gate[1], early);
	late = start_client(gate[0]);

	MUST(mkdir("empty", 0755));
	TRY(chroot("empty"));
	TRY(chdir("/"));
	TRY(access("/proc", F_OK));
	TRY(setgroups(0, NULL));
	TRY(setresgid(NOBODY, NOBODY, NOBODY));
	TRY(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	TRY(setresuid(NOBODY, NOBODY, NOBODY));
	TRY(ct_capset(BIT(CAP_SETPCAP) | BIT(CAP_NET_BIND_SERVICE)));
	drop_bounding();
	look(&watch, "two capabilities");
	TRY(ct_capset(0));
	TRY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	TRY(setuid(0));
	look(&watch, "nothing");
	serve(listener, gate[1], late);
	close(watch.channel);
	ct_reap(watch.pid);
	_exit(0); /* a sanitizer would look for leaks at exit, and for that into /proc */
}
