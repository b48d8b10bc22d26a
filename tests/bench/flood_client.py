# SPDX-License-Identifier: MIT
"""flood_client.py ADDRESS PORT: echoes of 4 KiB, one each 5 ms or as fast as they come back; for each line of input
their number since the last line, and the milliseconds that the slowest took. "broken WHY" if one does not come back."""
import os
import select
import socket
import sys
import time

DATA = os.urandom(4096)


def echo(s):
    begin = time.monotonic()
    s.sendall(DATA)
    got = b""
    while len(got) < len(DATA):
        piece = s.recv(65536)
        if not piece:
            raise OSError("end of data")
        got += piece
    if got != DATA:
        raise OSError("not what was sent")
    return time.monotonic() - begin


def main():
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
    s.settimeout(50)
    while not s.recv(1) == b"\n":
        pass
    print("ready", flush=True)
    n, slowest = 0, 0.0
    while True:
        took = echo(s)
        n, slowest = n + 1, max(slowest, took)
        if select.select([sys.stdin], [], [], max(0, 0.005 - took))[0]:
            if not sys.stdin.readline():
                return
            print(n, slowest * 1000, flush=True)
            n, slowest = 0, 0.0


try:
    main()
except OSError as e:
    print("broken", e, flush=True)
