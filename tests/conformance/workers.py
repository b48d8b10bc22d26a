# SPDX-License-Identifier: MIT
"""`workers = N`: connections are spread over the engine's threads, accepted as they came, and end with the app.

workers.py [ebpf]: with the steering program, or all that needs none.
"""
import json
import os
import signal
import subprocess
import sys
import time

import kit

WORKERS = 4
CONNECTIONS = 16  # of a client: each from a UDP port of its own
CLIENTS = 4
QUEUED = 24  # of two clients: all with one of two workers, once in eight million times
# Each of the 64 falls to each of four workers with the same odds: that one gets fewer happens once in a million rounds.
FEWEST = 2
EBPF = "ebpf" in sys.argv
SERVER = """
import os, socket, sys, threading
def serve(c):
    while True:
        data = c.recv(65536)
        if not data:
            break
        c.sendall(data)
    c.close()
def listen(port):
    l = socket.socket()
    l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    l.bind(("127.0.0.1", port))
    l.listen(64)
    return l
l = listen(0)
port = l.getsockname()[1]
for turn in range(2):
    print(port, flush=True)
    for i in range(int(sys.argv[1])):
        threading.Thread(target=serve, args=(l.accept()[0],), daemon=True).start()
    sys.stdin.readline()
    l.close()
    l = listen(port)
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
sys.stdin.readline()
"""
CLIENT = """
import os, socket, sys
port, n = map(int, sys.argv[1:])
socks = [socket.create_connection(("127.0.0.1", port)) for i in range(n)]
for s in socks:
    data = os.urandom(40000)
    s.sendall(data)
    got = b""
    while len(got) < len(data):
        got += s.recv(65536)
    if got != data:
        sys.exit("not what was sent")
print("same", flush=True)
sys.stdin.readline()
"""

# Accepts nothing before it is told; then says what each had sent, and from which port, as they come.
LATE = """
import json, socket, sys
l = socket.socket()
l.bind(("127.0.0.1", 0))
l.listen(int(sys.argv[1]))
print(l.getsockname()[1], flush=True)
sys.stdin.readline()
kept = [l.accept() for _ in range(int(sys.argv[2]))]
print(json.dumps([(c.recv(1)[0], peer[1]) for c, peer in kept]), flush=True)
sys.stdin.readline()
"""
# One connection a line, which is sent its number.
ONE_BY_ONE = """
import socket, sys
port, kept = int(sys.argv[1]), []
for line in sys.stdin:
    kept.append(socket.create_connection(("127.0.0.1", port)))
    kept[-1].sendall(bytes([int(line)]))
    print("sent", flush=True)
"""


def start(policy, engine, code, *arguments):
    child = subprocess.Popen([kit.PYTHON, "-c", code, *map(str, arguments)], env=kit.environment(policy, engine),
                             text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    kit.children.append(child)
    return child


def engines(pid):
    answer = subprocess.run([os.path.join(kit.BUILD, "bin/quicshim-status"), "--json"], check=True,
                            stdout=subprocess.PIPE)
    return [e for e in json.loads(answer.stdout)["engines"] if e["pid"] == pid]


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def uids(pid, task):
    with open(f"/proc/{pid}/task/{task}/status") as f:
        words = next(line.split() for line in f if line.startswith("Uid:"))
    return tuple(map(int, words[1:]))


def steered(pid):
    """How, and how much all the same was handed from one worker to another."""
    members = [m for e in engines(pid) for m in e["members"]]
    return [m["steering"] for m in members], sum(m["handed_out"] for m in members)


def one_round(policy, port, server_engine, name):
    if not kit.check(f"{name}: listening", port.isdigit(), port):
        return
    clients = [start(policy, kit.new_engine(), CLIENT, port, CONNECTIONS) for _ in range(CLIENTS)]
    said = {client.stdout.readline().strip() for client in clients}
    kit.check(f"{name}: {CONNECTIONS} echoes over {CONNECTIONS} connections, {CLIENTS} times", said == {"same"}, said)
    found = engines(kit.engine_pid(server_engine))
    kit.check(f"{name}: {WORKERS} workers", sorted(e["worker"] for e in found) == list(range(WORKERS)),
              [e["worker"] for e in found])
    streams = [len(e["streams"]) for e in found]
    kit.check(f"{name}: all streams are somebody's", sum(streams) == CLIENTS * CONNECTIONS, streams)
    kit.check(f"{name}: each worker has {FEWEST} at least", min(streams) >= FEWEST, streams)
    for client in clients:
        client.stdin.close()
        client.wait()
        kit.children.remove(client)


def by_rung(folder, rung):
    """The workers of one program, steered in one way."""
    policy = write_policy(folder, f"steering = {rung}\n")
    engine = kit.new_engine()
    server = start(policy, engine, SERVER, CLIENTS * CONNECTIONS)
    port = server.stdout.readline().strip()
    pid = kit.engine_pid(engine)
    kit.check(f"{rung}: it is the rung", until(lambda: steered(pid)[0] == [rung] * WORKERS), steered(pid))
    one_round(policy, port, engine, rung)
    if rung != "hash":
        kit.check(f"{rung}: nothing was handed over", steered(pid)[1] == 0, steered(pid))
    print(f"     {rung}: {steered(pid)[1]} hand-offs")
    server.kill()
    server.wait()
    kit.children.remove(server)


def in_order(folder):
    """The queue of a listener is one: what two workers put into it is accepted as it came. Where it is full, what waits
    with one worker keeps its order, and none is left behind."""
    policy = write_policy(folder, workers=2)
    for what, backlog in (("room in the queue", QUEUED), ("a full queue", 2)):
        engine = kit.new_engine()
        server = start(policy, engine, LATE, backlog, QUEUED)
        port = server.stdout.readline().strip()
        clients = [start(policy, kit.new_engine(), ONE_BY_ONE, port) for _ in range(2)]
        pid = kit.engine_pid(engine)
        for i in range(QUEUED):
            client = clients[i % 2]
            client.stdin.write(f"{i}\n")
            client.stdin.flush()
            if not client.stdout.readline() or \
               not kit.until(lambda: sum(len(e["streams"]) for e in engines(pid)) == i + 1):
                kit.check(f"{what}: connection {i} is there", False, engines(pid))
                return
        whose = {int(stream["remote"].rsplit(":", 1)[1]): e["worker"] for e in engines(pid) for stream in e["streams"]}
        kit.check(f"{what}: both workers have some", set(whose.values()) == {0, 1}, whose)
        server.stdin.write("\n")
        server.stdin.flush()
        came = json.loads(server.stdout.readline())
        numbers = [number for number, _ in came]
        kit.check(f"{what}: all are accepted", sorted(numbers) == list(range(QUEUED)), came)
        if backlog == QUEUED:
            kit.check(f"{what}: in the order in which they came", numbers == sorted(numbers), came)
        for worker in (0, 1):
            of_one = [number for number, port in came if whose[port] == worker]
            kit.check(f"{what}: worker {worker} keeps its order", of_one == sorted(of_one), came)
        for child in (*clients, server):
            kit.stop(child, signal.SIGKILL)


def write_policy(folder, more="", workers=WORKERS):
    policy = folder + "/policy.conf"
    with open(policy, "w") as f:
        f.write(f"[defaults]\nca = {folder}/pki/ca.pem\nmode = quic\nlinger = 1s\n"
                f"[connect 127.0.0.1 *]\nconnections = {CONNECTIONS}\n"
                f"[listen * *]\n{more}workers = {workers}\ncert = {folder}/pki/server.pem\nkey = {folder}/pki/server.key\n")
    os.chmod(policy, 0o644)
    return policy


def main():
    if EBPF:
        kit.need_steering()
    folder = kit.begin("workers")
    if kit.PLACEMENT == "thread":
        kit.skip("an engine thread has no workers")
    if EBPF:
        by_rung(folder, "ebpf")
        kit.finish()
    in_order(folder)
    for rung in ("hash", "classic"):
        by_rung(folder, rung)
    policy = write_policy(folder)
    engine = kit.new_engine()
    server = start(policy, engine, SERVER, CLIENTS * CONNECTIONS)
    one_round(policy, server.stdout.readline().strip(), engine, "first")
    pid = kit.engine_pid(engine)
    server.stdin.write("\n")
    server.stdin.flush()
    one_round(policy, server.stdout.readline().strip(), engine, "the same port again")
    threads = os.listdir(f"/proc/{pid}/task")
    kit.check(f"{WORKERS} threads", len(threads) == WORKERS, threads)
    if os.geteuid() == 0:
        server.stdin.write("\n")
        server.stdin.flush()
        kit.check("no thread stays root when the program does not",
                  until(lambda: {uids(pid, task) for task in threads} == {(kit.NOBODY,) * 4}),
                  {uids(pid, task) for task in threads})
    server.send_signal(signal.SIGKILL)
    server.wait()
    kit.check("the engine ends when its program has", until(lambda: not os.path.exists(f"/proc/{pid}")))
    kit.finish()


sys.exit(main())
