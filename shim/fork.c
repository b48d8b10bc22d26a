/* SPDX-License-Identifier: MIT */
/* No signal is handled while fork() holds what an engine thread needs. */
#include "fork.h"

#include "exit.h"
#include "raw.h"
#include "state.h"

#include <pthread.h>
#include <signal.h>

/*
 * libc's fork() takes all locks of malloc(). A signal handler that runs meanwhile and waits on a mapped socket, which a
 * handler may do, waits for the engine; an engine that is a thread waits for malloc(): for ever. So signals are blocked
 * from the last of the handlers of pthread_atfork() until the first one after the fork. The handlers are called in the
 * opposite order before it: the earlier ours are registered, the fewer of the program's run with signals blocked.
 */

static _Thread_local uint64_t old_mask;
static _Thread_local bool blocked;

static void block(void)
{
	uint64_t all = UINT64_MAX;

	if (__atomic_load_n(&qs_exit_hook, __ATOMIC_ACQUIRE) != NULL && qs_may_look())
		blocked = qs_raw(SYS_rt_sigprocmask, SIG_BLOCK, &all, &old_mask,
				 sizeof(old_mask)) == 0;
}

static void unblock(void)
{
	if (blocked)
		qs_raw(SYS_rt_sigprocmask, SIG_SETMASK, &old_mask, 0, sizeof(old_mask));
	blocked = false;
}

void qs_fork_init(void)
{
	pthread_atfork(block, unblock, unblock);
}
