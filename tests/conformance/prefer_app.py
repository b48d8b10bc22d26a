# SPDX-License-Identifier: MIT
"""The program of prefer.py; it knows nothing of quicshim. One JSON list a line on standard input is a command, one line
of JSON on standard output its answer. A server echoes, in threads."""
import errno
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import threading
import time

kept, peers, spare = [], [], []
listener = None
manual, parked = threading.Event(), threading.Event()


def name(number):
    return errno.errorcode.get(number, str(number)) if number else "ok"


def native(sock):
    """The kernel lists it as a TCP socket. (The family that Python shows is what the program asked for.)"""
    inode = str(os.stat(f"/proc/self/fd/{sock.fileno()}").st_ino)
    with open("/proc/self/net/tcp") as f:
        return any(line.split()[9] == inode for line in f.readlines()[1:])


def echo(conn):
    try:
        while data := conn.recv(65536):
            conn.sendall(data)
        conn.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve():
    while True:
        try:
            if manual.is_set():
                parked.set()
                time.sleep(0.01)
                continue
            if not select.select([listener], [], [], 0.05)[0]:
                continue
            conn = listener.accept()[0]
        except OSError:
            continue
        conn.setblocking(True)
        peers.append(conn)
        threading.Thread(target=echo, args=(conn,), daemon=True).start()


def listen(port):
    global listener
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    end = time.monotonic() + 10
    while True:
        try:
            listener.bind(("127.0.0.1", port))
            break
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
    listener.listen(64)
    listener.setblocking(False)
    threading.Thread(target=serve, daemon=True).start()
    return {"port": listener.getsockname()[1]}


def talk(sock):
    """Half a megabyte there and back, then the end both ways."""
    data = os.urandom(1 << 19)
    writer = threading.Thread(target=sock.sendall, args=(data,))
    writer.start()
    got = bytearray()
    while len(got) < len(data) and (more := sock.recv(65536)):
        got += more
    writer.join()
    return bytes(got) == data


def events(sock):
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    got = poll.poll(20000)
    names = {select.POLLOUT: "OUT", select.POLLERR: "ERR", select.POLLHUP: "HUP"}
    return [text for bit, text in names.items() if got and got[0][1] & bit]


def connect(port, how, argument=None, keep=None):
    if argument == "keep":
        keep = argument
    s = socket.socket()
    answer = {}
    begin = time.monotonic()
    s.setblocking(how != "nonblock")
    if how == "timeout":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, argument * 1000))
    if how == "signal":
        # Python tries again by itself after EINTR, but not when the handler raises. One signal may come before we sleep.
        def interrupt(*_):
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise InterruptedError(errno.EINTR, "")
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, argument / 1000, argument / 1000)
        try:
            s.connect(("127.0.0.1", port))
            error = 0
        except OSError as e:
            error = e.errno
        signal.setitimer(signal.ITIMER_REAL, 0)
    else:
        error = s.connect_ex(("127.0.0.1", port))
    answer["first"] = name(error)
    if error in (errno.EINPROGRESS, errno.EINTR, errno.EAGAIN):
        answer["events"] = events(s)
        error = answer["error"] = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        answer["again"] = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    answer["connect"] = name(error)
    answer["ms"] = int((time.monotonic() - begin) * 1000)
    if error == 0:
        s.setblocking(True)
        if how == "timeout":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 0))
        answer["native"] = native(s)
        answer["peer"] = s.getpeername()[1] == port
        answer["echo"] = talk(s)
        if keep:
            kept.append(s)
        else:
            s.shutdown(socket.SHUT_WR)
            answer["end"] = s.recv(1) == b""
            s.close()
    return answer


def open_only(port):
    s = socket.create_connection(("127.0.0.1", port))
    kept.append(s)
    return {"connect": "ok"}


def exchange():
    try:
        kept[-1].settimeout(20)
        kept[-1].sendall(b"hello")
        return {"echo": kept[-1].recv(5) == b"hello", "error": "ok"}
    except OSError as e:
        return {"echo": False, "error": name(e.errno)}


def full(free):
    """From now on accept() is on command, and `free` descriptors are left."""
    manual.set()
    normal_limit()
    spare.clear()
    parked.wait()
    limit = max(map(int, os.listdir("/proc/self/fd"))) + 1
    # Fill the holes below, then leave the wanted number of numbers above.
    while (fd := os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)) < limit:
        spare.append(open(fd, "rb", closefd=True))
    os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (fd + free, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    return {}


def normal_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))


def accept(seconds=10):
    select.select([listener], [], [], seconds)
    try:
        fd, _ = listener._accept()
    except OSError as e:
        return {"error": name(e.errno)}
    conn = socket.socket(fileno=fd)
    peers.append(conn)
    normal_limit()
    conn.setblocking(True)
    threading.Thread(target=echo, args=(conn,), daemon=True).start()
    return {"error": "ok", "native": native(conn)}


def unlimited():
    normal_limit()
    spare.clear()
    return {}


def normal():
    normal_limit()
    spare.clear()
    parked.clear()
    manual.clear()
    return {}


def descriptors():
    normal_limit_now = resource.getrlimit(resource.RLIMIT_NOFILE)
    normal_limit()
    n = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, normal_limit_now)
    return n


def list_peers():
    return [{"native": native(p), "cloexec": not os.get_inheritable(p.fileno())} for p in peers]


COMMANDS = {"listen": listen, "connect": connect, "open": open_only, "exchange": exchange, "full": full,
            "accept": accept, "normal": normal, "unlimited": unlimited, "descriptors": descriptors, "peers": list_peers}

for line in sys.stdin:
    command, *arguments = json.loads(line)
    print(json.dumps(COMMANDS[command](*arguments)), flush=True)
os._exit(0)
