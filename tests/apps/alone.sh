# SPDX-License-Identifier: MIT
# For tests that run several programs at once: with `engine = thread` each of them shall have an engine
# of its own, and not the thread of another one. Source it after common.sh.

threaded() { ! plain && [ "$QS_ENGINE" = thread ]; }
# What is started next shares no engine with what was started before.
client_alone() { if threaded; then client_begin; fi; }
server_alone() { if threaded; then qs_mapped_env QS_SERVER_ENV "$(hex 8)"; fi; }
# servers_check STREAMS SENT RECEIVED: server_check, where there is one engine to ask
servers_check() { if threaded; then note "status, servers: their engines were threads"; else server_check "$@"; fi; }
