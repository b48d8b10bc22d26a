# SPDX-License-Identifier: MIT
"""What an app sees when its engine is killed, and when somebody else has taken its engine's name."""
import os
import resource
import signal
import socket
import subprocess
import sys
import time

import kit

ID = os.urandom(8).hex()
ENGINES = {"server": ID[:-1] + "1", "client": ID[:-1] + "2", "squatted": ID[:-1] + "3",
           "old": ID[:-1] + "4", "new": ID[:-1] + "5", "talk1": ID[:-1] + "6", "talk2": ID[:-1] + "7",
           "many": ID[:-1] + "8", "twice": ID[:-1] + "9", "again": ID[:-1] + "a", "reused": ID[:-1] + "b",
           "limited": ID[:-1] + "c"}
SERVER = """
import socket, sys
l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen(5)
print(l.getsockname()[1], flush=True)
c, _ = l.accept(); c.sendall(b"x" * 1000)
try:
    print("read", len(c.recv(100)), flush=True)
except OSError as e:
    print(e.errno, flush=True)
"""
CLIENT = """
import socket, sys
try:
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    got = 0
    while got < 1000:
        got += len(s.recv(4096))
    print("ready", flush=True)
    print("read", len(s.recv(100)), flush=True)
except OSError as e:
    print(e.errno, flush=True)
"""


def start(engine, policy, code, *arguments):
    env = dict(os.environ, LD_PRELOAD=kit.SHIM, QUICSHIM_POLICY=policy,
               QUICSHIM_ENGINE=f"{ENGINES[engine]}-{'0' * 31}1")
    child = subprocess.Popen([kit.PYTHON, "-c", code, *map(str, arguments)], env=env, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    kit.children.append(child)
    return child


def engine_pid(engine):
    """The process that listens on the engine's control socket, found by its environment."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as f:
                if f.read().strip() != "quicshim":
                    continue
            with open(f"/proc/{pid}/environ", "rb") as f:
                if ENGINES[engine].encode() in f.read():
                    return int(pid)
        except OSError:
            continue
    return None


def killed(policy, victim):
    server = start("server", policy, SERVER)
    port = int(server.stdout.readline())
    client = start("client", policy, CLIENT, port)
    kit.check(f"{victim}: data arrives first", client.stdout.readline() == "ready\n")
    os.kill(engine_pid(victim), signal.SIGKILL)
    whose = server if victim == "server" else client
    said = whose.stdout.readline().strip()
    kit.check(f"{victim}: an engine that dies is a reset, not the end of the data", said == "104", said)
    for child in (server, client):
        child.kill()
        child.wait()
    other = engine_pid("client" if victim == "server" else "server")
    if other:
        os.kill(other, signal.SIGKILL)


def squatted(policy):
    """A stranger listens under the name that the engine would have."""
    ready, tell = os.pipe()
    stranger = os.fork()
    if stranger == 0:
        os.setuid(kit.NOBODY)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.bind(f"\0quicshim/{ENGINES['squatted']}/stream")
        sock.listen(5)
        os.write(tell, b"x")
        sock.settimeout(10)
        conn, _ = sock.accept()
        conn.settimeout(2)
        try:
            os._exit(1 if conn.recv(4096) else 0)  # anything it hears is too much
        except OSError:
            os._exit(0)
    os.read(ready, 1)
    client = start("squatted", policy, CLIENT, 9)
    said = client.stdout.readline().strip()
    kit.check("a name that a stranger holds: EACCES", said == "13", said)
    kit.check("and a line that says so", "another user" in client.stderr.read())
    kit.check("and the stranger hears nothing", os.waitpid(stranger, 0)[1] == 0)


SESSION = """
import os, socket, sys
l = socket.socket()
l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
l.bind(("127.0.0.1", int(sys.argv[1])))
l.listen(5)
print(l.getsockname()[1], flush=True)
c, _ = l.accept()
l.close()
if os.fork() == 0:  # the session lives on when the server is gone
    c.sendall(sys.argv[2].encode())
    while c.recv(100) == b"ping":
        c.sendall(sys.argv[2].encode())
    os._exit(0)
"""
TALK = """
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print(s.recv(100).decode(), flush=True)
for line in sys.stdin:
    s.sendall(b"ping")
    print(s.recv(100).decode(), flush=True)
"""


def talk(policy, engine, port):
    env = dict(os.environ, LD_PRELOAD=kit.SHIM, QUICSHIM_POLICY=policy,
               QUICSHIM_ENGINE=f"{ENGINES[engine]}-{'0' * 31}1")
    child = subprocess.Popen([kit.PYTHON, "-c", TALK, str(port)], env=env, text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    kit.children.append(child)
    return child


def restarted(policy):
    """A server is started again while a session of the old one lives, each with an engine of its own."""
    one = start("old", policy, SESSION, 0, "one")
    port = int(one.stdout.readline())
    first = talk(policy, "talk1", port)
    kit.check("restart: the first session", first.stdout.readline() == "one\n")
    one.wait()
    two = start("new", policy, SESSION, port, "two")
    kit.check("restart: the second server listens", two.stdout.readline() == f"{port}\n", two.stderr)
    second = talk(policy, "talk2", port)
    kit.check("restart: a new client meets the second", second.stdout.readline() == "two\n")
    first.stdin.write("x\n")
    first.stdin.flush()
    kit.check("restart: the old session goes on", first.stdout.readline() == "one\n")
    os.kill(engine_pid("old"), signal.SIGTERM)
    for child in (first, second):
        child.stdin.write("x\n")
        child.stdin.flush()
    kit.check("SIGTERM: an engine drains first", first.stdout.readline() == "one\n")
    kit.check("restart: the new session goes on", second.stdout.readline() == "two\n")
    first.stdin.close()
    deadline = time.time() + 10
    while engine_pid("old") and time.time() < deadline:
        time.sleep(0.05)
    kit.check("SIGTERM: and ends when its streams have", engine_pid("old") is None)
    second.stdin.close()


MANY = """
import socket
l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen(5)
print(l.getsockname()[1], flush=True)
kept = []
while True:
    kept.append(l.accept()[0])
    kept[-1].sendall(b"one")
"""
TWICE = """
import socket, sys
first = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print(first.recv(3).decode(), flush=True)
sys.stdin.readline()
print("connecting", flush=True)
second = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print(second.recv(3).decode(), flush=True)
"""


def pair(engine, policy, program):
    """A server, and a client that does what it is told on standard input."""
    server = start("many", policy, MANY)
    env = dict(os.environ, LD_PRELOAD=kit.SHIM, QUICSHIM_POLICY=policy,
               QUICSHIM_ENGINE=f"{ENGINES[engine]}-{'0' * 31}1")
    client = subprocess.Popen([kit.PYTHON, "-c", program, server.stdout.readline().strip()], env=env, text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    kit.children.append(client)
    return server, client


def orphaned(policy):
    """The engine dies with a connect() in its hands: of a process that was forked, say, from one that is killed."""
    server, client = pair("twice", policy, TWICE)
    kit.check("orphaned: the first connection", client.stdout.readline() == "one\n")
    pid = engine_pid("twice")
    os.kill(pid, signal.SIGSTOP)
    client.stdin.write("\n")
    client.stdin.flush()
    client.stdout.readline()
    kit.check("orphaned: the second waits", kit.until(lambda: is_in(client.pid, "46")))
    os.kill(pid, signal.SIGKILL)
    said = client.stdout.readline()
    kit.check("orphaned: another engine makes it", said == "one\n", said)
    for child in (client, server):
        kit.stop(child, signal.SIGKILL)


AGAIN = """
import os, socket, sys
READ = '''
import socket, sys
def read(s):
    try:
        return "read %d" % len(s.recv(100))
    except OSError as e:
        return str(e.errno)
if len(sys.argv) > 1:
    print("here", flush=True)
    sys.stdin.readline()
    print(read(socket.socket(fileno=int(sys.argv[1]))), flush=True)
'''
exec(READ.split("if len")[0])
for line in sys.stdin:
    if line == "connect\\n":
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        print(s.recv(3).decode(), flush=True)
    elif line == "read\\n":
        print(read(s), read(s), flush=True)
    else:
        s.set_inheritable(True)
        os.execv(sys.executable, [sys.executable, "-c", READ, str(s.fileno())])
"""


def killed_again(policy):
    """Each engine that a process has had is known to it, not only the first; and one that it never saw, if it was its."""
    server, client = pair("again", policy, AGAIN)

    def say(word):
        client.stdin.write(word + "\n")
        client.stdin.flush()

    for which in ("first", "second", "third"):
        say("connect")
        kit.check(f"again: the {which} engine's connection", client.stdout.readline() == "one\n")
        if which == "third":
            say("exec")
            client.stdout.readline()
        os.kill(engine_pid("again"), signal.SIGKILL)
        kit.until(lambda: engine_pid("again") is None)
        say("read")
        said = client.stdout.readline().strip()
        kit.check(f"again: the {which} engine's death is a reset", said in ("104 read 0", "104"), said)
    for child in (client, server):
        kit.stop(child, signal.SIGKILL)


REUSED = """
import os, socket, stat, sys, threading
def bound():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    return s
def listen():
    print(threading.get_native_id(), flush=True)
    try:
        late.listen(1)
        print("listens", flush=True)
    except OSError as e:
        print("error", e.errno, flush=True)
first = bound()
first.listen(1)
print("ready", flush=True)
sys.stdin.readline()
late = bound()
thread = threading.Thread(target=listen)
thread.start()
sys.stdin.readline()
os.close(late.fileno())
print(os.open("/dev/null", os.O_RDWR) == late.fileno(), flush=True)
thread.join()
print(stat.S_ISCHR(os.fstat(late.detach()).st_mode), flush=True)
"""


def reused(policy):
    """A descriptor is closed, and its number somebody else's, while another thread is in listen()."""
    env = dict(os.environ, LD_PRELOAD=kit.SHIM, QUICSHIM_POLICY=policy,
               QUICSHIM_ENGINE=f"{ENGINES['reused']}-{'0' * 31}1")
    program = subprocess.Popen([kit.PYTHON, "-c", REUSED], env=env, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    kit.children.append(program)
    program.stdout.readline()
    pid = engine_pid("reused")
    os.kill(pid, signal.SIGSTOP)
    program.stdin.write("\n")
    program.stdin.flush()
    thread = int(program.stdout.readline())
    kit.check("reused: listen() waits for the engine", kit.until(lambda: is_in(thread, "47")))
    program.stdin.write("\n")
    program.stdin.flush()
    kit.check("reused: the number is a file's", program.stdout.readline() == "True\n")
    os.kill(pid, signal.SIGCONT)
    said = program.stdout.readline().strip()
    kit.check("reused: ENOTSOCK", said == "error 88", said)
    kit.check("reused: and the file is where it was", program.stdout.readline() == "True\n")
    program.wait()


LIMITED = """
import resource, socket
l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen(5)
c = socket.create_connection(l.getsockname()); s = l.accept()[0]
c.sendall(b"x" * 100)
print(len(s.recv(100)), resource.getrlimit(resource.RLIMIT_NOFILE)[0], flush=True)
c.recv(1)
"""
SOFT = {"Max cpu time": (resource.RLIMIT_CPU, 60), "Max address space": (resource.RLIMIT_AS, 1 << 31),
        "Max data size": (resource.RLIMIT_DATA, 1 << 30), "Max locked memory": (resource.RLIMIT_MEMLOCK, 16384),
        "Max file size": (resource.RLIMIT_FSIZE, 1 << 20), "Max open files": (resource.RLIMIT_NOFILE, 64)}


def limited(policy):
    """The engine is not bound by the soft limits that the program has, and those stay."""
    def lower():
        for which, soft in SOFT.values():
            resource.setrlimit(which, (soft, resource.getrlimit(which)[1]))
    env = dict(os.environ, LD_PRELOAD=kit.SHIM, QUICSHIM_POLICY=policy,
               QUICSHIM_ENGINE=f"{ENGINES['limited']}-{'0' * 31}1")
    program = subprocess.Popen([kit.PYTHON, "-c", LIMITED], env=env, text=True, stdout=subprocess.PIPE,
                               preexec_fn=lower)
    kit.children.append(program)
    said = program.stdout.readline().strip()
    kit.check("limited: the program talks, and keeps its own", said == "100 64", said)
    with open(f"/proc/{engine_pid('limited')}/limits") as f:
        rows = {line[:26].strip(): line[26:].split()[:2] for line in f}
    kept = [name for name in SOFT if rows[name][0] != rows[name][1]]
    kit.check("limited: the engine has what the hard limits allow", not kept, kept)
    kit.stop(program, signal.SIGKILL)


def is_in(thread, call):
    """The number of a system call of x86-64."""
    with open(f"/proc/{thread}/syscall") as f:
        return f.read().split()[0] == call


def main():
    folder = kit.begin("engine")
    if kit.PLACEMENT == "thread":
        kit.skip("an engine thread dies with its process")
    policy = folder + "/policy.conf"
    with open(policy, "w") as f:
        f.write(f"[connect 127.0.0.0/8 *]\nmode = quic\nca = {folder}/pki/ca.pem\n"
                f"[listen * *]\nmode = quic\ncert = {folder}/pki/server.pem\nkey = {folder}/pki/server.key\n")
    os.chmod(policy, 0o600)
    killed(policy, "server")
    killed(policy, "client")
    restarted(policy)
    if os.uname().machine == "x86_64":
        orphaned(policy)
        reused(policy)
    limited(policy)
    killed_again(policy)
    if os.geteuid() == 0:
        squatted(policy)
    kit.finish()


if __name__ == "__main__":
    main()
