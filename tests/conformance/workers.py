# SPDX-License-Identifier: MIT
"""`workers = N`: a client's connections are spread over the engine's threads, and all of them end with the app."""
import json
import os
import signal
import subprocess
import sys
import time

import kit

WORKERS = 4
CONNECTIONS = 16
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


def one_round(policy, server, server_engine, name):
    port = server.stdout.readline().strip()
    if not kit.check(f"{name}: listening", port.isdigit(), port):
        return
    client = start(policy, kit.new_engine(), CLIENT, port, CONNECTIONS)
    said = client.stdout.readline().strip()
    kit.check(f"{name}: {CONNECTIONS} echoes over {CONNECTIONS} connections", said == "same", said)
    found = engines(kit.engine_pid(server_engine))
    kit.check(f"{name}: {WORKERS} workers", sorted(e["worker"] for e in found) == list(range(WORKERS)),
              [e["worker"] for e in found])
    streams = [len(e["streams"]) for e in found]
    kit.check(f"{name}: all streams are somebody's", sum(streams) == CONNECTIONS, streams)
    kit.check(f"{name}: more than one worker has some", sum(n > 0 for n in streams) > 1, streams)
    client.stdin.close()
    client.wait()


def by_rung(folder, rung):
    """The workers of one program, steered in one way."""
    policy = write_policy(folder, f"steering = {rung}\n")
    engine = kit.new_engine()
    server = start(policy, engine, SERVER, CONNECTIONS)
    one_round(policy, server, engine, rung)
    pid = kit.engine_pid(engine)
    kit.check(f"{rung}: it is the rung", until(lambda: steered(pid)[0] == [rung] * WORKERS), steered(pid))
    print(f"     {rung}: {steered(pid)[1]} hand-offs")
    server.kill()
    server.wait()
    kit.children.remove(server)


def write_policy(folder, more=""):
    policy = folder + "/policy.conf"
    with open(policy, "w") as f:
        f.write(f"[defaults]\nca = {folder}/pki/ca.pem\nmode = quic\nlinger = 1s\n"
                f"[connect 127.0.0.1 *]\nconnections = {CONNECTIONS}\n"
                f"[listen * *]\n{more}workers = {WORKERS}\ncert = {folder}/pki/server.pem\nkey = {folder}/pki/server.key\n")
    os.chmod(policy, 0o644)
    return policy


def main():
    folder = kit.begin("workers")
    if kit.PLACEMENT == "thread":
        kit.skip("an engine thread has no workers")
    for rung in ("hash", "classic"):
        by_rung(folder, rung)
    policy = write_policy(folder)
    engine = kit.new_engine()
    server = start(policy, engine, SERVER, CONNECTIONS)
    one_round(policy, server, engine, "first")
    pid = kit.engine_pid(engine)
    server.stdin.write("\n")
    server.stdin.flush()
    one_round(policy, server, engine, "the same port again")
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
