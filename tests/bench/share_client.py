# SPDX-License-Identifier: MIT
"""share_client.py rate ADDRESS PORT SECONDS    connections a second, each with a greeting, sixteen at a time
share_client.py echo ADDRESS PORT                for each line of input, the seconds that an echo of 8 MiB takes
share_client.py both ADDRESS PORT                after one that does not count: those seconds, and the microseconds
                                                 of an echo of one octet (median of 2,000)"""
import os
import socket
import statistics
import sys
import threading
import time

AT_ONCE = 16


def greeting(s):
    got = b""
    while not got.endswith(b"\n"):
        piece = s.recv(64)
        if not piece:
            raise OSError("no greeting")
        got += piece


def rate(address, port, seconds):
    done = [0] * AT_ONCE
    end = time.monotonic() + seconds

    def one(i):
        while time.monotonic() < end:
            with socket.create_connection((address, port), 20) as s:
                greeting(s)
            done[i] += 1

    threads = [threading.Thread(target=one, args=(i,)) for i in range(AT_ONCE)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(sum(done) / seconds)


def bulk(s, data):
    begin = time.monotonic()
    for _ in range(8):
        writer = threading.Thread(target=s.sendall, args=(data,))
        writer.start()
        left = len(data)
        while left:
            left -= len(s.recv(65536))
        writer.join()
    return time.monotonic() - begin


def echo(address, port):
    data = os.urandom(1 << 20)
    s = socket.create_connection((address, port), 20)
    greeting(s)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(bulk(s, data), flush=True)


def both(address, port):
    data = os.urandom(1 << 20)
    s = socket.create_connection((address, port), 20)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    greeting(s)
    bulk(s, data)
    seconds = bulk(s, data)
    trips = []
    for _ in range(2000):
        begin = time.monotonic()
        s.sendall(b"x")
        s.recv(1)
        trips.append(time.monotonic() - begin)
    print(seconds, statistics.median(trips) * 1e6)


if sys.argv[1] == "rate":
    rate(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
elif sys.argv[1] == "both":
    both(sys.argv[2], int(sys.argv[3]))
else:
    echo(sys.argv[2], int(sys.argv[3]))
