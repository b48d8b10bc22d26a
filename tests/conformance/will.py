# SPDX-License-Identifier: MIT
"""The peer of an engine that is killed learns of it: in both roles, of a process, a thread, and a thread's copy."""
import os
import signal
import subprocess

import kit

SERVER = """
import os, socket, sys
l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen(5)
print(l.getsockname()[1], flush=True)
c, _ = l.accept(); c.sendall(b"x" * 1000)
if "alone" in sys.argv and os.fork() == 0:  # the process that began, and its engine's thread, end
    os.kill(os.getppid(), 0)
elif "alone" in sys.argv:
    os._exit(0)
while True:
    try:
        got = c.recv(100)
    except OSError as e:
        got = str(e.errno).encode()
    print("read", got.decode() or "end", flush=True)
    if got != b"ping":
        break
    c.sendall(b"x" * 1000)
"""
CLIENT = """
import os, socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def take():
    got = 0
    while got < 1000:
        piece = s.recv(4096)
        if not piece:
            return False
        got += len(piece)
    return True
take()
if "alone" in sys.argv and os.fork() != 0:
    os._exit(0)
s.sendall(b"ping")
take()
print("ready", flush=True)
try:
    print("read", len(s.recv(100)) or "end", flush=True)
except OSError as e:
    print("read", e.errno, flush=True)
"""


# The server kills whom the first octets name: the client itself, or the engine that is a process, which the
# client finds by its name and environment.
KILLER = """
import os, signal, socket
l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen(5)
print(l.getsockname()[1], flush=True)
c, _ = l.accept()
os.kill(int(c.recv(16)), signal.SIGKILL)
try:
    print("read", c.recv(16).decode() or "end", flush=True)
except OSError as e:
    print("read", e.errno, flush=True)
"""
VICTIM = """
import os, socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def engine():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if open(f"/proc/{pid}/comm").read() == "quicshim\\n" and \
                    os.environ["QUICSHIM_ENGINE"] in open(f"/proc/{pid}/environ").read():
                return pid
        except OSError:
            pass
s.sendall(b"%16d" % (os.getpid() if sys.argv[2] == "thread" else int(engine())))
try:
    s.recv(1)
except OSError:
    pass
"""


def start(engine, policy, code, *arguments):
    child = subprocess.Popen([kit.PYTHON, "-c", code, *map(str, arguments)], env=kit.environment(policy, engine),
                             text=True, stdout=subprocess.PIPE)
    kit.children.append(child)
    return child


def wills(engine):
    """The programs that wait for the end of this engine."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline") as f:
                if f.read().split("\0")[:2] == ["quicshim-will", engine.split("-")[0]]:
                    found.append(int(pid))
        except OSError:
            continue
    return found


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def killed(policy, what, victim, alone):
    """`victim` is the role whose engine is killed."""
    ids = {"server": kit.new_engine(), "client": kit.new_engine()}
    word = ["alone"] if alone else []
    server = start(ids["server"], policy, SERVER, *(word if victim == "server" else []))
    port = int(server.stdout.readline())
    client = start(ids["client"], policy, CLIENT, port, *(word if victim == "client" else []))
    kit.check(f"{what}: data arrives first",
              server.stdout.readline() == "read ping\n" and client.stdout.readline() == "ready\n")
    mine = server if victim == "server" else client
    if alone:
        mine.wait()
    pid = kit.engine_pid(ids[victim])
    if alone or "process" in what:
        kit.check(f"{what}: the engine is a process of its own", pid not in (None, mine.pid), pid)
    kit.until(lambda: wills(ids[victim]), 20)
    waiting = wills(ids[victim])
    kit.check(f"{what}: one program waits for its end", len(waiting) == 1, waiting)
    os.kill(pid, signal.SIGKILL)
    said = (client if victim == "server" else server).stdout.readline().strip()
    kit.check(f"{what}: the peer is told", said == "read 104", said)
    kit.check(f"{what}: and that program ends", kit.until(lambda: all(map(gone, waiting)), 20))
    for child in (server, client):
        child.kill()
        child.wait()


def young(policy, placement):
    """A client is killed with its first octets: there is no time in which its peer would not be told."""
    server = start(kit.new_engine(), policy, KILLER)
    client = start(kit.new_engine(), policy, VICTIM, int(server.stdout.readline()), placement)
    said = server.stdout.readline().strip()
    kit.check(f"{placement}: the peer of a young client is told", said == "read 104", said)
    for child in (server, client):
        kit.stop(child, signal.SIGKILL)


def orderly(policy, what):
    """Nobody is told anything when the client ends in order, and nothing is left behind."""
    ids = kit.new_engine(), kit.new_engine()
    server = start(ids[0], policy, SERVER)
    port = int(server.stdout.readline())
    client = start(ids[1], policy, CLIENT, port)
    kit.check(f"{what}: data arrives", client.stdout.readline() == "ready\n")
    pid = kit.engine_pid(ids[0])
    kit.until(lambda: wills(ids[0]) and wills(ids[1]), 20)
    waiting = wills(ids[0]) + wills(ids[1])
    server.stdout.readline()
    # The server's program ends when the client has; its engine after it.
    client.terminate()
    said = server.stdout.readline().strip()
    kit.check(f"{what}: a client that is terminated is the end or a reset", said in ("read end", "read 104"), said)
    server.wait()
    try:
        os.kill(kit.engine_pid(ids[0]) or pid, signal.SIGTERM)
    except ProcessLookupError:
        pass  # it was quicker
    kit.check(f"{what}: the engine and its program end",
              kit.until(lambda: gone(pid) and all(map(gone, waiting)), 30))


def main():
    folder = kit.begin("will")
    for placement in ("process", "thread"):
        policy = f"{folder}/{placement}.conf"
        with open(policy, "w") as f:
            f.write(f"[defaults]\nengine = {placement}\nidle-timeout = 120s\n"
                    f"[connect 127.0.0.0/8 *]\nmode = quic\nca = {folder}/pki/ca.pem\n"
                    f"[listen * *]\nmode = quic\ncert = {folder}/pki/server.pem\nkey = {folder}/pki/server.key\n")
        os.chmod(policy, 0o600)
        for role in ("server", "client"):
            killed(policy, f"{placement}, {role}", role, False)
            if placement == "thread":
                killed(policy, f"copy, {role}", role, True)
        young(policy, placement)
        orderly(policy, placement)
    kit.finish()


if __name__ == "__main__":
    main()
