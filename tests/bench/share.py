# SPDX-License-Identifier: MIT
# A UDP port that is shared: connections a second by listeners and workers, hand-off, and the steering program.

import os
import select
import socket
import statistics
import subprocess
import threading
import time

from harness import ROOT, Broken

PYTHON = "/usr/bin/python3"
APP = os.path.join(ROOT, "tests/conformance/share_app.py")
CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "share_client.py")
STATS = "/proc/sys/kernel/bpf_stats_enabled"


def policy(bench, name, udp, ports, more=""):
    """A listener for each port, all on one UDP port, told apart by protocol; connections are one stream each."""
    text = f"[defaults]\nmode = quic\nca = {bench.pki}/ca.pem\nengine = {bench.engine}\n"
    for i, port in enumerate(ports):
        text += f"[listen * {port}]\nendpoint = :{udp}\nalpn = p{i}\n{more}"
        text += f"cert = {bench.pki}/server.pem\nkey = {bench.pki}/server.key\n"
    for i, port in enumerate(ports):
        text += f"[connect * {port}]\nendpoint = :{udp}\nalpn = p{i}\nstreams = one\nserver-name = localhost\n"
    return bench.file(name, text)


def serve(bench, rules, words):
    proc = bench.start([PYTHON, APP, *map(str, words)], env=bench.env(rules), stdout=subprocess.PIPE)
    said = proc.stdout.readline() if select.select([proc.stdout], [], [], 20)[0] else b"nothing for 20 s"
    if said != b"ready\n":
        with open(proc.log_name, errors="replace") as log:
            raise Broken(f"the server does not listen: {said!r} {log.read()[-300:].strip()}")
    return proc


def connections(bench):
    seconds = 1 if bench.quick else 4
    variants, servers = {}, []
    for listeners in (1, 16):
        for workers in (1, 2):
            if workers == 2 and bench.engine == "thread":
                continue
            ports = [bench.port() for _ in range(listeners)]
            rules = policy(bench, f"share-{listeners}-{workers}.conf", bench.port(), ports, f"workers = {workers}\n")
            servers.append(serve(bench, rules, ["many", "127.0.0.1", *ports]))
            words = [PYTHON, CLIENT, "rate", "127.0.0.1", str(ports[-1]), str(seconds)]
            variants[f"mapped {listeners} listeners {workers} workers"] = (
                lambda words=words, rules=rules: float(bench.run(words, env=bench.env(rules))))
    bench.measure("connections on a shared UDP port", "1/s", variants)
    bench.stop(*servers)


class Relay:
    """Forwards datagrams to the server from a port that rebind() changes."""

    def __init__(self, udp):
        self.inner = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.inner.bind(("127.0.0.1", 0))
        self.port, self.to, self.client = self.inner.getsockname()[1], ("127.0.0.1", udp), None
        self.rebind()
        threading.Thread(target=self.run, daemon=True).start()

    def rebind(self):
        outer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        outer.bind(("127.0.0.1", 0))
        self.outer = outer

    def run(self):
        while True:
            outer = self.outer
            for s in select.select([self.inner, outer], [], [], 0.1)[0]:
                data, peer = s.recvfrom(65536)
                if s is self.inner:
                    self.client = peer
                    self.outer.sendto(data, self.to)
                elif self.client:
                    self.inner.sendto(data, self.client)


def members(bench, servers):
    found = []
    for engine_id, _ in bench.engines[-len(servers):]:
        found += (bench.engine_status(engine_id) or {}).get("members", [])
    return found


def handed(bench, servers):
    return sum(m["handed_out"] for m in members(bench, servers))


def two_servers(bench, steering):
    udp, port = bench.port(), bench.port()
    rules = policy(bench, f"hand-{steering}.conf", udp, [port], f"steering = {steering}\n")
    servers = [serve(bench, rules, ["serve", "127.0.0.1", port, name, "reuseport"]) for name in "ab"]
    return udp, port, servers


def hand_off(bench):
    """Both go through the relay; what differs is whose socket the kernel gives the datagrams to."""
    udp, port, servers = two_servers(bench, "hash")
    relay = Relay(udp)
    engines = list(bench.engines)
    rules = bench.file("hand-client.conf", f"[defaults]\nmode = quic\nca = {bench.pki}/ca.pem\nengine = {bench.engine}\n"
                       f"[connect * *]\nendpoint = 127.0.0.1:{relay.port}\nalpn = p0\nserver-name = localhost\n")
    client = bench.start([PYTHON, CLIENT, "echo", "127.0.0.1", str(port)], env=bench.env(rules), text=True, bufsize=1,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    bench.engines[:] = [bench.engines[-1], *engines]  # the servers' are the last ones again
    if client.stdout.readline() != "ready\n":
        raise Broken("the client can't connect")
    client.stdin.write("\n")  # the first one finds the path's MTU and rate
    client.stdout.readline()
    values = {"mapped direct": [], "mapped handed over": []}
    wanted = 1 if bench.quick else bench.rounds
    for _ in range(40):
        relay.rebind()
        before = handed(bench, servers)
        client.stdin.write("\n")
        seconds = float(client.stdout.readline())
        values["mapped handed over" if handed(bench, servers) - before > 16 else "mapped direct"].append(8 / seconds)
        if min(map(len, values.values())) >= wanted:
            break
    bench.record("echo by way of a relay", "MiB/s", values)
    bench.stop(client, *servers)


def two_programs(bench, more):
    """Two servers of a protocol each on one UDP port."""
    udp, ports = bench.port(), [bench.port(), bench.port()]
    rules = policy(bench, f"two-{udp}.conf", udp, ports, more)
    first = len(bench.engines)
    servers = [serve(bench, rules, ["serve", "127.0.0.1", port, "x", "reuseport"]) for port in ports]
    return rules, ports, servers, bench.engines[first:first + 2]


def of_engines(bench, engines):
    return [m for engine, _ in engines for m in (bench.engine_status(engine) or {}).get("members", [])]


def cpu_seconds(bench, engines):
    total = 0
    for engine, _ in engines:
        with open(f"/proc/{bench.engine_status(engine)['pid']}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def rung_reached(bench, engines, rung):
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if [m["steering"] for m in of_engines(bench, engines)] == [rung] * 2:
            return True
        time.sleep(0.05)
    return False


def rungs(bench):
    """What encrypted IDs cost: half of the clients reach the wrong program's socket, and stay there. And each rung."""
    key = bench.file("cid.key", "000102030405060708090a0b0c0d0e0f\n")
    variants = {"ebpf": ("ebpf", "steering = ebpf\n"), "classic": ("classic", "steering = classic\n"),
                "hash": ("hash", "steering = hash\n"), "encrypted IDs": ("hash", f"cid-key = {key}\n")}
    clients = 2 if bench.quick else 12
    rates, trips, handed_over, costs = {}, {}, {}, {}
    for name, (rung, more) in variants.items():
        rules, ports, servers, engines = two_programs(bench, more)
        if rung_reached(bench, engines, rung):
            before = sum(m["handed_out"] for m in of_engines(bench, engines))
            spent = cpu_seconds(bench, engines)
            said = [bench.run([PYTHON, CLIENT, "both", "127.0.0.1", str(ports[i % 2])], env=bench.env(rules)).split()
                    for i in range(clients)]
            after = sum(m["handed_out"] for m in of_engines(bench, engines))
            costs[f"mapped {name}"] = [(cpu_seconds(bench, engines) - spent) * 1000 / (16 * clients)]
            rates[f"mapped {name}"] = [statistics.mean(8 / float(seconds) for seconds, _ in said)]
            trips[f"mapped {name}"] = [statistics.mean(float(micros) for _, micros in said)]
            handed_over[f"mapped {name}"] = [(after - before) / (16 * clients)]
        else:
            bench.note(f"left out: no {rung} here")
        bench.stop(*servers)
    bench.record(f"two programs on a port, echo, mean of {clients} clients", "MiB/s", rates)
    bench.record("two programs on a port, round trip", "us", trips, better="less")
    bench.record("two programs on a port, both engines' time", "ms/MiB", costs, better="less")
    bench.record("two programs on a port, handed over", "trains/MiB", handed_over, better="less")


def program_figures(pid):
    """(nanoseconds, runs) of the steering program that an engine holds."""
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{fd}") as f:
                fields = dict(line.split(":", 1) for line in f if ":" in line)
        except OSError:
            continue
        if "prog_tag" in fields:
            return int(fields["run_time_ns"]), int(fields["run_cnt"])
    return None


def steering(bench):
    if not os.access(STATS, os.W_OK):
        bench.note("left out, needs root: the cost of the steering program")
        return
    with open(STATS) as f:
        before = f.read()
    _, port, servers = two_servers(bench, "ebpf")
    try:
        with open(STATS, "w") as f:
            f.write("1")
        if not all(m["steering"] == "ebpf" for m in members(bench, servers)):
            bench.note("left out: no steering program can be loaded here")
            return
        rules = bench.file("hand-ebpf.conf")
        bench.run([PYTHON, CLIENT, "rate", "127.0.0.1", str(port), "1"], env=bench.env(rules))
        pid = bench.engine_status(bench.engines[-2][0])["pid"]
        ns, runs = program_figures(pid) or (0, 0)
        if runs:
            bench.record("steering program", "ns a run", {"mapped": [ns / runs]}, better="less")
    finally:
        with open(STATS, "w") as f:
            f.write(before)
        bench.stop(*servers)


def run(bench):
    if not bench.mapped:
        return
    connections(bench)
    hand_off(bench)
    rungs(bench)
    steering(bench)
