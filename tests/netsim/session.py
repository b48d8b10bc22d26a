#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A long session for tests of paths that change: every octet is checked.

session.py server ADDRESS PORT
session.py client ADDRESS PORT echo|download PROGRESS-FILE STOP-FILE
session.py client ADDRESS PORT bulk PROGRESS-FILE STOP-FILE OCTETS
session.py client ADDRESS PORT silent PROGRESS-FILE STOP-FILE
The client writes how many octets have come to PROGRESS-FILE, until STOP-FILE exists. It ends with "whole N".
bulk: OCTETS each way, one after the other, each with its SHA-256; then it waits for STOP-FILE.
silent: an echo, nothing until there is STOP-FILE, and another echo."""

import hashlib
import os
import random
import select
import socket
import struct
import sys
import threading
import time

BLOCK = 16384


def block(n):
    return hashlib.sha256(b"%d" % n).digest() * (BLOCK // 32)


def exactly(s, n):
    data = b""
    while len(data) < n:
        piece = s.recv(n - len(data))
        if not piece:
            raise ConnectionError(f"the end after {len(data)} octets of {n}")
        data += piece
    return data


def bulk(octets, seed):
    """No two of its blocks are the same: loss, doubling and wrong order change the checksum."""
    return random.Random(seed).randbytes(octets)


def checksum(octets, seed):
    return hashlib.sha256(bulk(octets, seed)).digest()


def taken(s, octets):
    """The checksum of what comes."""
    summed = hashlib.sha256()
    while octets:
        piece = s.recv(min(octets, 65536))
        if not piece:
            raise ConnectionError(f"the end, {octets} octets too soon")
        summed.update(piece)
        octets -= len(piece)
    return summed.digest()


def serve_one(s):
    kind = s.recv(1)
    n = 0
    try:
        if kind == b"e":
            while data := s.recv(65536):
                s.sendall(data)
            s.shutdown(socket.SHUT_WR)
        if kind == b"b":
            octets, = struct.unpack("!Q", exactly(s, 8))
            s.sendall(taken(s, octets))
            s.sendall(bulk(octets, b"down") + checksum(octets, b"down"))
        while kind == b"d":
            s.sendall(block(n))
            n += 1
            time.sleep(0.005)
    except OSError as e:
        print("session:", kind, e, flush=True)
    s.close()


def server(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(16)
        print("ready", flush=True)
        while True:
            s, _ = listener.accept()
            threading.Thread(target=serve_one, args=(s,), daemon=True).start()


class Checker:
    """What comes must be the blocks in order."""

    def __init__(self, progress):
        self.got, self.buffer, self.progress, self.told = 0, b"", progress, 0.0

    def take(self, data):
        self.buffer += data
        while len(self.buffer) >= BLOCK:
            if self.buffer[:BLOCK] != block(self.got // BLOCK):
                sys.exit(f"block {self.got // BLOCK} is not what was sent")
            self.buffer = self.buffer[BLOCK:]
            self.got += BLOCK
        if time.monotonic() - self.told > 0.05:
            self.told = time.monotonic()
            with open(self.progress + ".new", "w", encoding="ascii") as f:
                f.write(str(self.got))
            os.rename(self.progress + ".new", self.progress)


def await_stop(progress, stop, got):
    with open(progress, "w", encoding="ascii") as f:
        f.write(str(got))
    while not os.path.exists(stop):
        time.sleep(0.02)


def bulk_client(s, progress, stop, octets):
    s.sendall(struct.pack("!Q", octets) + bulk(octets, b"up"))
    if exactly(s, 32) != checksum(octets, b"up"):
        sys.exit("what came to the server is not what was sent")
    if taken(s, octets) != checksum(octets, b"down") or exactly(s, 32) != checksum(octets, b"down"):
        sys.exit("what came from the server is not what was sent")
    await_stop(progress, stop, octets)
    print("whole", octets, flush=True)


def silent_client(s, progress, stop):
    for n in range(2):
        s.sendall(block(n))
        if exactly(s, BLOCK) != block(n):
            sys.exit(f"block {n} is not what was sent")
        if n == 0:
            await_stop(progress, stop, BLOCK)
    print("whole", 2 * BLOCK, flush=True)


def client(address, port, kind, progress, stop, octets="0"):
    s = socket.create_connection((address, port), timeout=30)
    s.settimeout(None)
    s.sendall(b"e" if kind == "silent" else kind[:1].encode())
    if kind == "bulk":
        bulk_client(s, progress, stop, int(octets))
        return
    if kind == "silent":
        silent_client(s, progress, stop)
        return
    checker, sent, stopping, pending = Checker(progress), 0, False, b""
    while True:
        writing = kind == "echo" and (pending or not stopping)
        readable, writable, _ = select.select([s], [s] if writing else [], [], 0.05)
        if readable:
            data = s.recv(65536)
            if not data:
                break
            checker.take(data)
        if writable:
            if not pending and sent * BLOCK - checker.got < 64 * BLOCK:
                pending = block(sent)
                sent += 1
            n = s.send(pending) if pending else 0
            pending = pending[n:]
            time.sleep(0.003)
        if not stopping and os.path.exists(stop):
            stopping = True
            if kind == "download":
                break
        if stopping and not pending and kind == "echo":
            s.shutdown(socket.SHUT_WR)
            kind = "ended"
    if kind == "ended" and checker.got != sent * BLOCK:
        sys.exit(f"{checker.got} octets came back of {sent * BLOCK}")
    print("whole", checker.got, flush=True)
    s.close()


if sys.argv[1] == "server":
    server(sys.argv[2], int(sys.argv[3]))
else:
    client(sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
