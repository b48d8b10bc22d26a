# SPDX-License-Identifier: MIT
# Numbered UDP datagrams: `probe.py sink ADDR PORT`, `probe.py source ADDR PORT COUNT SIZE GAP_MS`.
"""The sink ends 1.5 s after the last one. It shares the source's clock and prints:
came, doubled, late (overtaken by a later one), median delay in ms, rate in Mbit/s with 28
bytes of headers a datagram, and a hash of the set of numbers that came."""

import socket
import statistics
import struct
import sys
import time
import zlib

role, addr, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

if role == "source":
    count, size, gap = int(sys.argv[4]), int(sys.argv[5]), float(sys.argv[6])
    for number in range(count):
        head = struct.pack("!IQ", number, time.monotonic_ns())
        sock.sendto(head + b"x" * (size - len(head)), (addr, port))
        if gap:
            time.sleep(gap / 1000)
    sys.exit()

sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
sock.bind((addr, port))
print("ready", flush=True)
sock.settimeout(1.5)
seen, delays = set(), []
doubled = late = total = 0
first = last = None
try:
    while True:
        data = sock.recv(65536)
        now = time.monotonic_ns()
        number, sent = struct.unpack("!IQ", data[:12])
        first, last = first or now, now
        total += len(data) + 28
        delays.append((now - sent) / 1e6)
        if number in seen:
            doubled += 1
        elif seen and number < max(seen):
            late += 1
        seen.add(number)
except TimeoutError:
    pass
span = (last - first) / 1e9 if first and last > first else 1
digest = zlib.crc32(struct.pack("!%dI" % len(seen), *sorted(seen)))
print(len(seen), doubled, late, "%.2f" % (statistics.median(delays) if delays else 0),
      "%.2f" % (total * 8 / span / 1e6), "%08x" % digest)
