# SPDX-License-Identifier: MIT
# Several connections one after another in one process: prints the ms from connect to first byte.
# usage: ttfb.py ADDR PORT plain|tls COUNT CA

import socket
import ssl
import sys
import time

addr, port, how, count, ca = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]
context = None
if how == "tls":
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
for _ in range(count):
    begin = time.monotonic()
    sock = socket.create_connection((addr, port), timeout=10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context:
        sock = context.wrap_socket(sock, server_hostname=addr)
    sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
    first = sock.recv(1)
    ms = (time.monotonic() - begin) * 1000
    if first != b"H":
        sys.exit(f"no answer: {first!r}")
    while sock.recv(65536):
        pass
    sock.close()
    print(f"{ms:.3f}", flush=True)
