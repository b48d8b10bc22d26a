# SPDX-License-Identifier: MIT
# Requests without a pause, a connection each, until a file appears: load.py PORT DIR STOP THREADS
# Says how many there were; any that failed, or brought other content, is an error.
import os, socket, sys, threading

port, www, stop, threads = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
names = sorted(os.listdir(www))[:50]
bodies = {n: open(os.path.join(www, n), "rb").read() for n in names}
counts, errors = [0] * threads, []


def ask(name):
    with socket.create_connection(("127.0.0.1", port), 20) as s:
        s.sendall(b"GET /small/%s HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n" % name.encode())
        reply = b""
        while piece := s.recv(65536):
            reply += piece
    head, _, body = reply.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0] + b" ":
        raise ValueError("answer %r" % head[:60])
    if body != bodies[name]:
        raise ValueError("%s: %d bytes instead of %d" % (name, len(body), len(bodies[name])))


def work(me):
    while not os.path.exists(stop) and len(errors) < 5:
        name = names[(counts[me] * threads + me) % len(names)]
        try:
            ask(name)
        except Exception as e:
            errors.append("request %d of thread %d: %r" % (counts[me], me, e))
        counts[me] += 1


workers = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
[w.start() for w in workers]
[w.join() for w in workers]
if errors:
    sys.exit("%d of %d failed: %s" % (len(errors), sum(counts), "; ".join(errors)))
print(sum(counts))
