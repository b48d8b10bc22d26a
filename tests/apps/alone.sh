# SPDX-License-Identifier: MIT
# For tests that run several programs at once: an engine that is a thread ends with its process, so
# that with `engine = thread` each of them needs an engine of its own. Source it after common.sh.

threaded() { ! plain && [ "$QS_ENGINE" = thread ]; }
# What is started next shares no engine with what was started before.
client_alone() { if threaded; then client_begin; fi; }
server_alone() { if threaded; then qs_mapped_env QS_SERVER_ENV "$(hex 8)"; fi; }
# servers_check STREAMS SENT RECEIVED: server_check, where there is one engine to ask
servers_check() { if threaded; then note "status, servers: their engines were threads"; else server_check "$@"; fi; }
# delivers_at_exit WHAT: false, with a word, where nothing outlives a process to send its last bytes
delivers_at_exit() { threaded || return 0; note "skipped with engine = thread: $1"; return 1; }
