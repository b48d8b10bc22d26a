# SPDX-License-Identifier: MIT
"""The program that is mapped; it knows nothing of quicshim.

app.py serve PORT...        echo on each; says "ready" and goes on for ever
app.py connect PORT...      for each port, one line of JSON: how a connection and an echo ended
app.py keep GOOD PORT...    the same for PORT..., while a connection to GOOD stays open and is used between
app.py listen PORT          one line: "ok" or the name of the errno
app.py udp                  a datagram to itself
"""
import errno
import json
import select
import socket
import sys
import threading
import time


def name(number):
    return errno.errorcode.get(number, str(number)) if number else "ok"


def echo(conn):
    with conn:
        try:
            while data := conn.recv(65536):
                conn.sendall(data)
        except OSError:
            pass


def serve(ports):
    def accept(listener):
        while True:
            threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()
    threads = []
    for port in ports:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(64)
        threads.append(threading.Thread(target=accept, args=(listener,)))
        threads[-1].start()
    print("ready", flush=True)


def attempt(port, blocking):
    """(errno of connect, errno of the first exchange, milliseconds until connect had ended)"""
    begin = time.monotonic()
    s = socket.socket()
    s.settimeout(20)
    if blocking:
        s.setblocking(True)
        error = s.connect_ex(("127.0.0.1", port))
    else:
        s.setblocking(False)
        error = s.connect_ex(("127.0.0.1", port))
        if error == errno.EINPROGRESS:
            if not select.select([], [s], [], 20)[1]:
                return "HANGS", "", 20000
            error = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        s.settimeout(20)
    took = int((time.monotonic() - begin) * 1000)
    data = ""
    if error == 0:
        data = exchange(s)
    s.close()
    return name(error), data, took


def exchange(s):
    try:
        s.sendall(b"hello")
        got = b""
        while len(got) < 5:
            piece = s.recv(5 - len(got))
            if not piece:
                return "EOF"
            got += piece
        return "ok" if got == b"hello" else "WRONG"
    except socket.timeout:
        return "HANGS"
    except OSError as e:
        return name(e.errno)


def connect(ports, kept=None):
    for port in ports:
        for blocking in (True, False):
            error, data, took = attempt(port, blocking)
            line = {"port": port, "blocking": blocking, "connect": error, "data": data, "ms": took}
            if kept is not None:
                line["kept"] = exchange(kept)
            print(json.dumps(line), flush=True)


def main():
    what, ports = sys.argv[1], [int(a) for a in sys.argv[2:]]
    if what == "serve":
        serve(ports)
    elif what == "connect":
        connect(ports)
    elif what == "keep":
        kept = socket.create_connection(("127.0.0.1", ports[0]))
        kept.settimeout(10)
        connect(ports[1:], kept)
    elif what == "listen":
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", ports[0]))
        try:
            s.listen(5)
            print("ok")
        except OSError as e:
            print(name(e.errno))
    elif what == "udp":
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", 0))
        s.sendto(b"hello", s.getsockname())
        s.settimeout(5)
        print("ok" if s.recv(16) == b"hello" else "WRONG")


main()
