#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""One end of a connection whose path is cut: says what happens, a line of JSON each.

cut_app.py server ADDRESS PORT
cut_app.py client ADDRESS PORT USER-TIMEOUT-MS
The server echoes. The client has an octet echoed, and then for each line on standard input: "write" to have one more
echoed, "read" to wait for the end."""
import errno
import json
import socket
import sys
import threading
import time


def say(what, **more):
    print(json.dumps({"what": what, "at": time.monotonic(), **more}), flush=True)


def until_end(act):
    """The errno that ends it; "" where it ends in order."""
    try:
        act()
        say("end", how="")
    except OSError as e:
        say("end", how=errno.errorcode[e.errno])


def echo(s):
    while data := s.recv(65536):
        s.sendall(data)


def server(address, port):
    with socket.create_server((address, port)) as listener:
        say("listens")
        while True:
            s, _ = listener.accept()
            threading.Thread(target=until_end, args=(lambda s=s: echo(s),), daemon=True).start()


def client(address, port, user_timeout_ms):
    s = socket.create_connection((address, port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, user_timeout_ms)

    def act():
        orders = iter(["write\n"])
        while order := next(orders, None) or sys.stdin.readline():
            if order == "write\n":
                s.sendall(b"x")
            if not s.recv(1):
                return
            say("echoed")

    until_end(act)


if sys.argv[1] == "server":
    server(sys.argv[2], int(sys.argv[3]))
else:
    client(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
