# SPDX-License-Identifier: MIT
# Junk Initials from many addresses: an accepted connection goes on, memory stays bounded, counters tell.

import os
import select
import subprocess
import time

from harness import ROOT, Broken

PYTHON = "/usr/bin/python3"
APP = os.path.join(ROOT, "tests/conformance/share_app.py")
CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "flood_client.py")
RSS_MAX_MIB = 192  # 512 opening connections, 1,024 undecided flights of 16 KiB, and what libraries keep


def rss_mib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def counters(bench, engine):
    status = bench.engine_status(engine)
    wanted = {k: v for k, v in status["totals"].items()
              if k in ("datagrams_received", "datagrams_dropped", "retries_sent", "flights_dropped",
                       "connections_accepted",
                       "connections_failed", "faults_trapped")}
    wanted["connections"] = len(status["connections"])
    wanted["undecided"] = sum(m["undecided"] for m in status["members"])
    return wanted, status["pid"]


class Echo:
    """A connection that was accepted before the flood; says what it saw since it was asked last. Broken if it ended."""

    def __init__(self, bench, rules, port):
        self.proc = bench.start([PYTHON, CLIENT, "127.0.0.1", str(port)], env=bench.env(rules), text=True, bufsize=1,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.line()

    def line(self):
        if not select.select([self.proc.stdout], [], [], 60)[0]:
            raise Broken("the accepted connection hangs")
        said = self.proc.stdout.readline().split()
        if not said or said[0] == "broken":
            raise Broken(f"the accepted connection: {' '.join(said) or 'ended'}")
        return said

    def since(self):
        """(echoes, the slowest in milliseconds)"""
        self.proc.stdin.write("\n")
        n, slowest = self.line()
        return int(n), float(slowest)


def newcomer(bench, rules, port):
    """Milliseconds until a client that comes during a flood is served, its start included; None: not in 20 s."""
    begin = time.monotonic()
    said = bench.run([PYTHON, APP, "ask", "127.0.0.1", str(port)], env=bench.env(rules)).strip()
    return (time.monotonic() - begin) * 1000 if said == "x" else None


def one(bench, rules, engine, echo, port, kind, rate, seconds):
    before, pid = counters(bench, engine)
    rss_before = peak = rss_mib(pid)
    cpu_before = cpu_seconds(pid)
    echo.since()
    tool = os.path.join(bench.build, "tests/bench/flood")
    flood = bench.start([tool, "127.0.0.1", str(port), kind, str(rate), str(seconds)], stdout=subprocess.PIPE)
    took = newcomer(bench, rules, port)
    while flood.poll() is None:
        peak = max(peak, rss_mib(pid))
        time.sleep(0.05)
    echoes, slowest = echo.since()
    echo.since()  # this one was asked for behind all that the server's socket held
    if flood.wait():
        raise Broken("flood failed")
    sent, micros = map(int, flood.stdout.read().split())
    bench.stop(flood)
    cpu = cpu_seconds(pid) - cpu_before
    after, _ = counters(bench, engine)
    counted = {k: after[k] - before[k] for k in after if k not in ("connections", "undecided")}
    title = f"flood of {kind}"
    bench.record(title, "sent/s", {"mapped": [sent / micros * 1e6]})
    bench.record(f"{title}: echoes of an accepted connection", "1/s", {"mapped": [echoes / micros * 1e6]})
    bench.record(f"{title}: the slowest", "ms", {"mapped": [slowest]}, better="less")
    bench.record(f"{title}: a new client", "ms", {"mapped": [took] if took else []}, better="less")
    if counted["datagrams_received"]:
        bench.record(f"{title}: the engine's time", "us a datagram",
                     {"mapped": [cpu * 1e6 / counted["datagrams_received"]]}, better="less")
    bench.record(f"{title}: engine", "MiB", {"mapped before": [rss_before], "mapped peak": [peak]}, better="less")
    bench.note(f"{kind}: {sent} sent, " + ", ".join(f"{k} {v}" for k, v in counted.items())
               + f"; now {after['connections']} connections, {after['undecided']} undecided")
    if peak > RSS_MAX_MIB:
        raise Broken(f"{kind}: the engine took {peak:.0f} MiB")
    if counted["datagrams_received"] + counted["datagrams_dropped"] < sent / 2 or counted["faults_trapped"]:
        raise Broken(f"{kind}: the counters don't show it: {counted} of {sent}")


def run(bench):
    if not bench.mapped:
        return
    rate, seconds = (5000, 1) if bench.quick else (100000, 10)
    port = bench.port()
    rules = bench.file("flood.conf", f"[defaults]\nmode = quic\nca = {bench.pki}/ca.pem\nengine = {bench.engine}\n"
                       f"[listen * {port}]\ncert = {bench.pki}/server.pem\nkey = {bench.pki}/server.key\n"
                       "[connect * *]\nserver-name = localhost\nidle-timeout = 1m\n")
    env = bench.env(rules)
    server = bench.start([PYTHON, APP, "serve", "127.0.0.1", str(port), "x"], env=env, stdout=subprocess.PIPE)
    if server.stdout.readline() != b"ready\n":
        raise Broken("the server does not listen")
    echo = Echo(bench, rules, port)
    time.sleep(1)
    n, slowest = echo.since()
    bench.record("no flood: echoes of an accepted connection", "1/s", {"mapped": [n]})
    bench.record("no flood: the slowest", "ms", {"mapped": [slowest]}, better="less")
    for kind in os.environ.get("KINDS", "noise half unwanted hello").split():
        one(bench, rules, env.id, echo, port, kind, rate, seconds)
    bench.stop(echo.proc, server)
