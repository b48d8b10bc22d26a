// SPDX-License-Identifier: MIT
// The trap: leave a library that gave up, instead of the process.
//
// Problem: ngtcp2, GnuTLS, nettle and GMP answer a state that they think impossible with assert()
// or abort(). On the engine thread that would end somebody else's program, or in process
// placement every connection of a process tree, and a peer may have found the way to it.
//
// Which failures come here: __assert_fail and abort as those libraries call them, that is through
// their import tables, where our exported symbols stand first. Not those inside libc: it calls its
// own by internal names. That is as it should be: a corrupt heap or a smashed stack must end the
// process. Faults by signal (SIGSEGV) and exit() in a library are not trapped either.
//
// Locks that may be held at the jump, for they stay held:
//	ngtcp2		has none, nor any state outside of the connection.
//	GnuTLS		a session's own mutex (post-handshake state): leaked with the session. Locks
//			of the process (p11-kit modules, the trust list's PKCS#11 token, system
//			configuration reload) are taken when credentials and priorities are loaded,
//			which the engine never does inside a trap; that of the key log only where
//			SSLKEYLOGFILE is set. Its random generator is thread-local. A shared priority or
//credentials object is only read in a 			handshake; counts that it took are lost, which leaks and no
//more. 	nettle, GMP	have none. GMP aborts when memory runs out.
//	malloc		free of its lock whenever a library runs; an allocation function replaced by
//			the host program that asserts inside itself with its lock held is the one
//			case that can hang the engine afterwards.
//	stdio		not used: the message that assert() prints is kept in `what` instead.
// Half-written state: of this connection, hence it is poisoned (trap.h). GnuTLS and nettle keep
// none across sessions except the credentials, which a handshake only reads.
//
// Sanitizers: ASan keeps shadow of the frames that are jumped over; its siglongjmp() interceptor
// clears it, and __asan_handle_no_return() is called here for builds in which that is not linked.
// The leak of a poisoned connection shows in LeakSanitizer, unless something still points to it.
// With _FORTIFY_SOURCE siglongjmp() checks that it goes up the stack, which it does.
#include "trap.h"

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define QS_TRAP_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define QS_TRAP_ASAN 1
#endif
#endif
#ifdef QS_TRAP_ASAN
#include <sanitizer/asan_interface.h>
#endif

_Thread_local struct qs_trap qs_trap_state;

bool qs_trap_run(void (*call)(void *argument), void *argument)
{
	if (QS_TRAP_ENTER())
		return false;
	call(argument);
	qs_trap_leave();
	return true;
}

void qs_trap_catch(const char *what)
{
	struct qs_trap *trap = &qs_trap_state;
	size_t i = 0;

	if (!trap->active)
		return;
	trap->active = false; /* first: a fault from here on is a real one */
	for (; what && what[i] && i < sizeof(trap->what) - 1; i++)
		trap->what[i] = what[i];
	trap->what[i] = '\0';
#ifdef QS_TRAP_ASAN
	__asan_handle_no_return();
#endif
	siglongjmp(trap->jump, 1);
}
