# SPDX-License-Identifier: MIT
"""The programs of test-kill, mapped; they know nothing of quicshim.

kill_app.py server ADDRESS PORT HOW   one|workers|alone; a line of JSON for each connection that begins and ends
kill_app.py client ADDRESS PORT HOW   one|alone; likewise
"one" is one process. "workers" forks two before they accept. "alone": the process that called listen() or
connect() ends, and a child that has inherited the connection goes on.
"""
import json
import os
import socket
import sys
import time

BLOCK = 1000


def say(**what):
    print(json.dumps({"pid": os.getpid(), "at": time.monotonic(), **what}), flush=True)


def take(s):
    got = 0
    while got < BLOCK:
        piece = s.recv(BLOCK - got)
        if not piece:
            raise ConnectionResetError(0, "end")
        got += len(piece)


def until_the_end(s, answers):
    """Blocks come, each of which is answered or not, until the connection ends."""
    try:
        while True:
            take(s)
            if answers:
                s.sendall(b"a" * BLOCK)
    except OSError as e:
        say(what="end", how=os.strerror(e.errno) if e.errno else "end of data")
    s.close()


def serve(listener, how):
    conn, _ = listener.accept()
    say(what="accepted")
    if how == "alone" and os.fork() != 0:
        os._exit(0)
    conn.sendall(b"s" * BLOCK)
    until_the_end(conn, True)


def server(address, port, how):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(16)
    say(what="listens")
    for _ in range(2 if how == "workers" else 0):
        if os.fork() == 0:
            serve(listener, how)
            os._exit(0)
    if how == "workers":
        os.wait()
        os.wait()
    while how != "workers":
        serve(listener, how)


def client(address, port, how):
    s = socket.create_connection((address, port))
    try:
        take(s)
        if how == "alone" and os.fork() != 0:
            os._exit(0)
        s.sendall(b"c" * BLOCK)
        take(s)
        say(what="talks")
    except OSError as e:
        sys.exit(f"the connection ends before it began: {e}")
    until_the_end(s, False)


{"server": server, "client": client}[sys.argv[1]](sys.argv[2], int(sys.argv[3]), sys.argv[4])
