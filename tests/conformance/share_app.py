# SPDX-License-Identifier: MIT
"""The programs of share.py; they know nothing of quicshim.

share_app.py serve ADDRESS PORT TAG [reuseport]   says TAG and a newline to each client, then echoes; "ready"
                                                  when it listens, or the errno's name and its text. SIGTERM
                                                  closes the listener; the end comes with the last connection
share_app.py drop ADDRESS PORT TAG UID            serves as another user, once it listens
share_app.py many ADDRESS PORT...                 listens on each; its tag is the port
share_app.py ask ADDRESS PORT [http]              the tag or the status line, or the errno's name
share_app.py hold ADDRESS PORT                    tag; then for each line of standard input an echo of 1 MB: "ok"
share_app.py storm ADDRESS PORT RATE [http]       connections for ever; on SIGTERM one line of JSON: how they ended, and the seconds
"""
import collections
import errno
import json
import os
import signal
import socket
import sys
import threading
import time

MEGABYTE = os.urandom(1 << 20)


def name(e):
    return errno.errorcode.get(e.errno, str(e)) if isinstance(e, OSError) and e.errno else str(e)


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def echo(conn, tag):
    try:
        conn.sendall(tag.encode() + b"\n")
        while data := conn.recv(65536):
            conn.sendall(data)
    except OSError:
        pass
    conn.close()


def serve(address, port, tag, reuseport="", user=None):
    listener = socket.socket(family(address))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuseport:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((address, port))
        listener.listen(512)
    except OSError as e:
        print(name(e), flush=True)
        return
    if user is not None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    threads = []

    # No exception: it would lose a connection that accept() has taken from the kernel but not given out yet.
    signal.signal(signal.SIGTERM, lambda *_: listener.close())
    print("ready", flush=True)
    try:
        while True:
            t = threading.Thread(target=echo, args=(listener.accept()[0], tag))
            t.start()
            threads = [t] + [u for u in threads if u.is_alive()]
    except OSError:
        for t in threads:
            t.join()


def many(address, *ports):
    def accept(listener):
        while True:
            conn = listener.accept()[0]
            threading.Thread(target=echo, args=(conn, str(listener.getsockname()[1]))).start()

    for port in ports:
        listener = socket.socket(family(address))
        listener.bind((address, port))
        listener.listen(64)
        threading.Thread(target=accept, args=(listener,)).start()
    print("ready", flush=True)


def greeting(s):
    got = b""
    while not got.endswith(b"\n"):
        piece = s.recv(64)
        if not piece:
            raise OSError(errno.ENODATA, "no greeting")
        got += piece
    return got.decode().strip()


def ask(address, port, question=greeting):
    try:
        with socket.create_connection((address, port), 20) as s:
            print(question(s), flush=True)
    except OSError as e:
        print(name(e), flush=True)


def exchange(s):
    writer = threading.Thread(target=s.sendall, args=(MEGABYTE,))
    writer.start()
    got = bytearray()
    while len(got) < len(MEGABYTE):
        piece = s.recv(65536)
        if not piece:
            return "EOF"
        got += piece
    writer.join()
    return "ok" if got == MEGABYTE else "WRONG"


def hold(address, port):
    s = socket.create_connection((address, port), 10)
    s.settimeout(20)
    print(greeting(s), flush=True)
    for _ in sys.stdin:
        try:
            print(exchange(s), flush=True)
        except OSError as e:
            print(name(e), flush=True)


def fetch(s):
    s.sendall(b"GET / HTTP/1.0\r\n\r\n")
    got = b""
    while piece := s.recv(4096):
        got += piece
    return got.split(b"\r\n")[0].decode() if got.endswith(b"hello\n") else f"CUT {got[-20:]}"


def storm(address, port, rate, question=greeting):
    ends = collections.Counter()
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
    lock = threading.Lock()

    def one():
        try:
            with socket.create_connection((address, port), 60) as s:
                end = question(s)
        except OSError as e:
            end = name(e)
        with lock:
            ends[end] += 1

    begin, n, threads, last = time.monotonic(), 0, [], False
    print("ready", flush=True)
    while not last:
        last = bool(stopping)
        seconds = time.monotonic() - begin
        while n < int(seconds * rate) and len(threads) < 400:
            threads.append(threading.Thread(target=one))
            threads[-1].start()
            n += 1
        threads = [t for t in threads if t.is_alive()]
        time.sleep(0.005)
    for t in threads:
        t.join()
    print(json.dumps({"ends": ends, "seconds": seconds}), flush=True)


def main():
    what, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if what == "serve":
        serve(address, port, *sys.argv[4:])
    elif what == "drop":
        serve(address, port, sys.argv[4], user=int(sys.argv[5]))
    elif what == "many":
        many(address, port, *map(int, sys.argv[4:]))
    elif what == "ask":
        ask(address, port, fetch if sys.argv[4:] else greeting)
    elif what == "hold":
        hold(address, port)
    elif what == "storm":
        storm(address, port, float(sys.argv[4]), fetch if sys.argv[5:] else greeting)


main()
