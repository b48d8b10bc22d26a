# SPDX-License-Identifier: MIT
# Process memory of an idle connection: the program plus its engine (or stunnel), at 1,000 of them.

import subprocess
import time

from harness import Broken, Place

FIRST, MORE = 16, 1000


def pss_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))


def hold(client, count):
    client.stdin.write(f"{count}\n")
    client.stdin.flush()
    line = client.stdout.readline().split()
    if len(line) != 3 or line[0] != "held":
        with open(client.log_name, errors="replace") as log:
            raise Broken(f"holder: {log.read().strip()[-200:] or 'ended'}")
    return int(line[2])


def side(bench, app, env):
    """The pids of one side: the program, and its engine when that is a process of its own"""
    pids = {app.pid}
    if env:
        status = bench.engine_status(env.id)
        if not status:
            raise Broken("quicshim-status shows no engine for the holder")
        pids.add(status["pid"])
    return pids


def one(bench, port, sides, client_env=None):
    """KiB of process memory that a connection costs on the server's and on the client's side"""
    holder = bench.compile("holder.c")
    client = bench.start([holder, "client", "127.0.0.1", str(port)], env=client_env,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    hold(client, FIRST)
    server_side, client_side = sides(client)
    time.sleep(1)
    before = [sum(map(pss_kib, pids)) for pids in (server_side, client_side)]
    us = hold(client, MORE)
    time.sleep(1)
    after = [sum(map(pss_kib, pids)) for pids in (server_side, client_side)]
    bench.stop(client)
    return (after[0] - before[0]) / MORE, (after[1] - before[1]) / MORE, us / MORE


def run(bench):
    holder = bench.compile("holder.c")
    place = Place("loopback")
    server_kib, client_kib, connect_us = {}, {}, {}

    def take(name, port, sides, env=None):
        for store in (server_kib, client_kib, connect_us):
            store.setdefault(name, [])
        try:
            got = one(bench, port, sides, env)
        except Broken as err:
            if name != "mapped":
                raise
            bench.failed = True
            bench.note(f"BROKEN: memory, mapped: {err}")
            return
        for store, value in zip((server_kib, client_kib, connect_us), got):
            store[name].append(value)

    def server(port, env=None):
        proc = bench.start([holder, "server", "127.0.0.1", str(port)], env=env)
        bench.wait_port(proc, port, udp=env is not None)
        return proc

    for _ in range(1 if bench.quick else min(3, bench.rounds)):
        # Everything anew each round: memory that was freed is not given back.
        port = bench.port()
        plain = server(port)
        take("plain", port, lambda client: ({plain.pid}, {client.pid}))
        if bench.has("stunnel"):
            behind, front, enter = bench.stunnels(place, port)
            take("stunnels", enter, lambda client: ({plain.pid, behind.pid}, {client.pid, front.pid}))
        if bench.mapped:
            port = bench.port()
            policy = bench.policy("memory.conf", [port])
            server_env, client_env = bench.env(policy), bench.env(policy)
            mapped = server(port, server_env)
            take("mapped", port, lambda client: (side(bench, mapped, server_env),
                                                 side(bench, client, client_env)), client_env)
        bench.stop(*list(bench.running))
    bench.record("memory of an idle connection, server", "KiB", server_kib, better="less")
    bench.record("memory of an idle connection, client", "KiB", client_kib, better="less")
    bench.record("connect and one byte there and back", "us", connect_us, better="less")
    for who in ("server", "client"):
        got = bench.results[f"memory of an idle connection, {who}"]["median"].get("mapped")
        bench.mark(f"KiB of process memory for an idle mapped connection, {who}", got, 16, False)
