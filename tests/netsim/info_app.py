#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""TCP_INFO of both ends of a connection.

info_app.py server ADDRESS PORT
info_app.py client ADDRESS PORT OCTETS [retransmitted]
The client has OCTETS echoed; then octet by octet, until all has been acknowledged, the round trip has settled and, if
asked for, either side has retransmitted. It prints one line: its own figures and the server's, as JSON."""

import json
import socket
import struct
import sys
import threading
import time

SETTLED_US = 100_000
PATIENCE_S = 60


def info(s):
    """The fields of struct tcp_info (<linux/tcp.h>) that are looked at."""
    raw = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    words = struct.unpack_from("=24I", raw, 8)
    acked, received = struct.unpack_from("=2Q", raw, 120)
    return {"rtt": words[15], "total_retrans": words[23], "bytes_acked": acked, "bytes_received": received,
            "min_rtt": struct.unpack_from("=I", raw, 148)[0]}


def exactly(s, n):
    data = b""
    while len(data) < n:
        piece = s.recv(n - len(data))
        if not piece:
            raise ConnectionError("the end")
        data += piece
    return data


def serve_one(s):
    """An echo of so many octets; then for each octet more what is known just now."""
    octets, = struct.unpack("!Q", exactly(s, 8))
    while octets:
        data = s.recv(min(octets, 65536))
        if not data:
            return
        s.sendall(data)
        octets -= len(data)
    while s.recv(1):
        s.sendall(json.dumps(info(s)).encode().ljust(200))


def server(address, port):
    with socket.create_server((address, port)) as listener:
        print("ready", flush=True)
        while True:
            threading.Thread(target=serve_one, args=listener.accept()[:1], daemon=True).start()


def client(address, port, octets, retransmitted):
    with socket.create_connection((address, port)) as s:
        s.sendall(struct.pack("!Q", octets))
        threading.Thread(target=s.sendall, args=(bytes(octets),), daemon=True).start()
        exactly(s, octets)
        sent, received, end_at = 8 + octets, octets, time.monotonic() + PATIENCE_S
        while True:
            s.sendall(b"x")
            theirs = json.loads(exactly(s, 200))
            # What it had sent and we had acknowledged when it looked: nothing of this round's answer.
            sent, before, received = sent + 1, received, received + 200
            time.sleep(0.2)
            ours = info(s)
            if time.monotonic() > end_at or (
                    ours["bytes_acked"] >= sent and theirs["bytes_acked"] >= before and
                    max(ours["rtt"], theirs["rtt"]) < SETTLED_US and
                    (not retransmitted or min(ours["total_retrans"], theirs["total_retrans"]) > 0)):
                break
    print(json.dumps({"client": ours, "server": theirs, "sent": sent, "received": received, "before": before}))


if sys.argv[1] == "server":
    server(sys.argv[2], int(sys.argv[3]))
else:
    client(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:] == ["retransmitted"])
