/* SPDX-License-Identifier: MIT */
/* Pins of a reuseport group's steering: who may use them, what is refused, many processes at once. */
#include "steer_kit.h"

#include <bpf/bpf.h>
#include <grp.h>
#include <signal.h>
#include <sys/wait.h>

#define NOBODY_ID 65534

static char dir[] = "/tmp/test_steer_pin.XXXXXX";
static char pins[64];

static mode_t mode_of(const char *name, uid_t *uid, gid_t *gid)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", pins, name);
	assert_int_equal(stat(path, &st), 0);
	*uid = st.st_uid;
	*gid = st.st_gid;
	return st.st_mode & 07777;
}

static void pinned(void **state)
{
	const struct qs_steer_access wish = {12, 34, 0660}, wrong = {0, 0, 04660};
	struct qs_steer *again;
	struct steer_group g;
	char path[128];
	uid_t uid;
	gid_t gid;
	int fd;

	(void)state;
	kit_open(&g, AF_INET, 2);
	assert_int_equal(qs_steer_open(&again, pins, false), -ENOENT);
	assert_null(again);
	assert_int_equal(qs_steer_unpin(pins), -ENOENT);
	assert_int_equal(qs_steer_pin(g.steer, "/tmp/quicshim", NULL), -ENOTSUP);
	assert_int_equal(qs_steer_pin(g.steer, "/", NULL), -EINVAL);
	assert_int_equal(qs_steer_pin(g.steer, "", NULL), -EINVAL);
	assert_int_equal(qs_steer_pin(g.steer, pins, &wrong), -EINVAL);
	snprintf(path, sizeof(path), "%s/a.b", dir);
	assert_int_equal(qs_steer_pin(g.steer, path, NULL), -EINVAL);
	snprintf(path, sizeof(path), "%s/", pins);
	assert_int_equal(qs_steer_pin(g.steer, path, &wish), 0);
	assert_int_equal(qs_steer_pin(g.steer, pins, &wish), -EEXIST);
	assert_int_equal(mode_of("", &uid, &gid), 0755);
	assert_int_equal(mode_of(QS_STEER_PROGRAM, &uid, &gid), 0444);
	assert_int_equal(uid, 0);
	assert_int_equal(mode_of(QS_STEER_MAP_SLOTS, &uid, &gid), 0660);
	assert_int_equal(uid, 12);
	assert_int_equal(gid, 34);
	assert_int_equal(mode_of(QS_STEER_MAP_TABLE, &uid, &gid), 0660);
	assert_int_equal(mode_of(QS_STEER_MAP_COUNTS, &uid, &gid), 0660);

	/* The same group through the pins. */
	assert_int_equal(qs_steer_open(&again, pins, false), 0);
	assert_int_equal(qs_steer_host(again), HOST);
	qs_steer_free(g.steer);
	g.steer = again;
	kit_balance(&g, 2);
	assert_int_equal(qs_steer_attach(again, g.members[0].fd), 0);
	kit_join(&g, 2);
	kit_balance(&g, 3);
	assert_int_equal(qs_steer_open(&again, pins, true), 0);
	assert_int_equal(qs_steer_release(again, &g.members[2].id), -EACCES);
	assert_int_equal(qs_steer_settle(again), -EACCES);
	assert_int_equal(qs_steer_attach(again, g.members[0].fd), 0);
	assert_int_equal(qs_steer_claim(again, g.members[0].fd, &g.members[0].id), -EACCES);
	qs_steer_free(again);

	/* Not to be trusted: others may write, or it is another map. */
	assert_int_equal(chmod(pins, 0775), 0);
	assert_int_equal(qs_steer_open(&again, pins, false), -EPERM);
	assert_int_equal(chmod(pins, 0755), 0);
	assert_int_equal(chown(pins, 12, 0), 0);
	assert_int_equal(qs_steer_open(&again, pins, false), -EPERM);
	assert_int_equal(chown(pins, 0, 0), 0);
	snprintf(path, sizeof(path), "%s/%s", pins, QS_STEER_MAP_COUNTS);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(qs_steer_open(&again, pins, false), -ENOENT);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "other", 4, 8, 1, NULL);
	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	close(fd);
	assert_int_equal(qs_steer_open(&again, pins, false), -EPROTO);
	/* Maps of the right shape, but not the program's. */
	assert_int_equal(unlink(path), 0);
	fd = bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "other", 4, sizeof(struct qs_steer_counts),
			    1, NULL);
	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	close(fd);
	assert_int_equal(qs_steer_open(&again, pins, false), -EPROTO);
	assert_int_equal(qs_steer_unpin(pins), 0);
	assert_int_equal(access(pins, F_OK), -1);
	kit_close(&g);
}

/* Exit code of a child without privileges, in that group. */
static int unprivileged(int (*work)(void), gid_t gid)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (setgroups(0, NULL) || setgid(gid) || setuid(NOBODY_ID))
			_exit(100);
		_exit(work());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* All that a member does. No assertions in a child: they would go on as the parent. */
static int be_member(void)
{
	struct steer_group g = {.family = AF_INET};
	struct qs_steer_member id;
	uint8_t data[100], cid[QS_CID_LEN];
	int fd, result = qs_steer_open(&g.steer, pins, false);

	if (result)
		return -result;
	for (unsigned i = 0; i < MEMBERS_MAX; i++)
		g.members[i].fd = -1;
	fd = g.members[3].fd = kit_socket(&g);
	if (qs_steer_attach(g.steer, fd) || qs_steer_claim(g.steer, fd, &id) ||
	    qs_steer_set(g.steer, &id, QS_STEER_ACCEPTING) != QS_STEER_BUCKETS)
		return 101;
	kit_cid(cid, HOST, id.slot, id.generation);
	kit_short(data, cid);
	if (kit_send(&g, kit_client(AF_INET, 0), data, 40) != 3 ||
	    kit_counts(&g).n[QS_STEER_STEERED] != 1)
		return 102;
	qs_steer_free(g.steer);
	return 0;
}

static int only_look(void)
{
	struct qs_steer *steer;
	int result = qs_steer_open(&steer, pins, true);

	qs_steer_free(steer);
	return -result;
}

static int load_new(void)
{
	struct qs_steer *steer;

	return -qs_steer_load(&steer, 1);
}

static void by_privilege(void **state)
{
	struct qs_steer_access access = {(uid_t)-1, NOBODY_ID, 0660};
	struct qs_steer *steer;
	int result;

	(void)state;
	assert_int_equal(unprivileged(load_new, NOBODY_ID), EPERM);
	assert_int_equal(qs_steer_load(&steer, HOST), 0);
	assert_int_equal(qs_steer_pin(steer, pins, &access), 0);
	result = unprivileged(be_member, NOBODY_ID);
	if (result == EPERM)
		print_message("this kernel wants CAP_BPF of members (before 5.19)\n");
	else
		assert_int_equal(result, 0);
	assert_int_equal(unprivileged(only_look, 1), result == EPERM ? EPERM : EACCES);
	assert_int_equal(qs_steer_unpin(pins), 0);
	access.mode = 0664;
	assert_int_equal(qs_steer_pin(steer, pins, &access), 0);
	assert_int_equal(unprivileged(only_look, 1), result);
	assert_int_equal(unprivileged(be_member, 1), result == EPERM ? EPERM : EACCES);
	assert_int_equal(qs_steer_unpin(pins), 0);
	qs_steer_free(steer);
}

/* Takes and leaves slots with one socket; at the end every other one has one. Ends when killed. */
static void come_and_go(unsigned seed, uint16_t port, int done)
{
	struct steer_group g = {.family = AF_INET, .port = port};
	struct qs_steer_member id;
	bool good = qs_steer_open(&g.steer, pins, false) == 0;
	int fd = kit_socket(&g);

	srandom(seed);
	for (unsigned i = 0; i < 300 && good; i++) {
		good = qs_steer_claim(g.steer, fd, &id) == 0 &&
		       qs_steer_set(g.steer, &id, QS_STEER_ACCEPTING) >= 0 &&
		       (random() % 2 || qs_steer_set(g.steer, &id, QS_STEER_DRAINING) >= 0) &&
		       qs_steer_release(g.steer, &id) >= 0;
	}
	if (good && seed % 2)
		good = qs_steer_claim(g.steer, fd, &id) == 0 &&
		       qs_steer_set(g.steer, &id, QS_STEER_ACCEPTING) >= 0;
	if (write(done, good ? "y" : "n", 1) == 1)
		pause();
	_exit(0);
}

/*
 * Several processes at once: the members that stay get all that is theirs. The others' sockets stay
 * open until the end: while the kernel closes a member of a group it loses a few datagrams of the
 * others (it has left the group before it is out of the hash), with and without a program.
 */
static void many(void **state)
{
	enum { WORKERS = 6 };
	unsigned left = WORKERS, sent = 0;
	uint8_t data[100], cid[QS_CID_LEN];
	int client, done[2], status;
	pid_t pids[WORKERS];
	struct steer_group g;
	char answer;

	(void)state;
	kit_open(&g, AF_INET, 2);
	assert_int_equal(qs_steer_pin(g.steer, pins, NULL), 0);
	assert_int_equal(pipe2(done, O_NONBLOCK | O_CLOEXEC), 0);
	for (unsigned i = 0; i < WORKERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			come_and_go(i, g.port, done[1]);
	}
	client = kit_client(AF_INET, 0);
	while (left) {
		for (unsigned i = 0; i < 2; i++, sent++) {
			kit_cid(cid, HOST, g.members[i].id.slot, g.members[i].id.generation);
			kit_short(data, cid);
			assert_int_equal(kit_send(&g, client, data, 40), i);
		}
		if (read(done[0], &answer, 1) == 1) {
			assert_int_equal(answer, 'y');
			left--;
		}
	}
	assert_int_equal(kit_counts(&g).n[QS_STEER_STEERED], sent);
	/* Moves that met each other may leave it uneven for a while: not after this. */
	assert_true(qs_steer_settle(g.steer) >= 0);
	kit_balance(&g, 2 + WORKERS / 2);
	for (unsigned i = 0; i < WORKERS; i++) {
		assert_int_equal(kill(pids[i], SIGKILL), 0);
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
	}
	assert_true(qs_steer_settle(g.steer) > 0);
	kit_balance(&g, 2);
	assert_int_equal(qs_steer_unpin(pins), 0);
	close(client);
	close(done[0]);
	close(done[1]);
	kit_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pinned),
		cmocka_unit_test(by_privilege),
		cmocka_unit_test(many),
	};
	int failed;

	if (!mkdtemp(dir))
		return EXIT_FAILURE;
	/* A umask of the caller must not matter. */
	umask(077);
	kit_enter(dir);
	if (chmod(dir, 0755))
		return EXIT_FAILURE;
	snprintf(pins, sizeof(pins), "%s/quicshim", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	umount(dir);
	rmdir(dir);
	return failed;
}
