# SPDX-License-Identifier: MIT
"""First flights where a port is shared: each worker has the keys of all rules since listen(), and what a sibling hands on
for its connection ID alone is counted like what comes from the network."""
import json
import os
import socket
import subprocess
import time

import kit

folder = kit.begin("flights")
pki = folder + "/pki"
CERT = f"ca = {pki}/ca.pem\n"
UDP_SEGMENT = 103
BURST, RATE = 4096, 20000  # engine/flood.h

SERVER = """
import socket, sys, threading
def run(listener):
    while True:
        conn = listener.accept()[0]
        conn.sendall(b"hi")
        kept.append(conn)
kept, threads = [], []
for port in sys.argv[1:]:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(port)))
    listener.listen(64)
    threads.append(threading.Thread(target=run, args=(listener,)))
    threads[-1].start()
print("ready", flush=True)
"""
CLIENT = """
import socket, sys
for _ in range(int(sys.argv[2])):
    conn = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=15)
    assert conn.recv(2) == b"hi"
    globals().setdefault("kept", []).append(conn)
print("ok")
"""


def write(name, text):
    with open(f"{folder}/{name}", "w") as f:
        f.write(f"[defaults]\nmode = quic\nengine = {kit.PLACEMENT}\n" + text)
    os.chmod(f"{folder}/{name}", 0o644)
    return f"{folder}/{name}"


def serve(name, policy, *ports):
    log = f"{folder}/{name}.log"
    kit.start([kit.PYTHON, "-c", SERVER, *map(str, ports)], kit.environment(policy, kit.new_engine()), log)
    return kit.until(lambda: "ready" in open(log).read())


def engines():
    answer = subprocess.run([f"{kit.BUILD}/bin/quicshim-status", "--json"], check=True, stdout=subprocess.PIPE)
    return json.loads(answer.stdout)["engines"]


def keys_of_workers():
    udp, one, two = (kit.free_port() for _ in range(3))
    rules, connects = "", ""
    for port, alpn in ((one, "one"), (two, "two")):
        key = f"{folder}/{alpn}.key"
        with open(f"{pki}/server.key") as source, open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w") as copy:
            copy.write(source.read())
        rules += (f"[listen * {port}]\nendpoint = 127.0.0.1:{udp}\nalpn = {alpn}\ncert = {pki}/server.pem\n"
                  f"key = {key}\nworkers = 2\n")
        connects += f"[connect * {port}]\nendpoint = :{udp}\nalpn = {alpn}\nconnections = 12\nhandshake-timeout = 5s\n"
    kit.check("both rules listen", serve("keys", write("keys.conf", CERT + rules), one, two))
    for alpn in ("one", "two"):
        os.unlink(f"{folder}/{alpn}.key")
    policy = write("ask.conf", CERT + connects)
    for port, name in ((one, "first"), (two, "second")):
        got = kit.run([kit.PYTHON, "-c", CLIENT, str(port), "12"], kit.environment(policy, kit.new_engine()), limit=60)
        kit.check(f"{name} rule: each worker has its key, which is gone now", got[:2] == (0, "ok\n"), got)


def shapes(slot):
    """A train of what looks like Initials with a connection ID of that slot's (engine/cid.h)."""
    dcid = bytes([0x0F, 0, 0, 0, slot, 9, 9]) + bytes(9)
    head = b"\xc3\x00\x00\x00\x01\x10" + dcid + b"\x00\x00"
    rest = 1200 - len(head) - 2
    return (head + bytes([0x40 | rest >> 8, rest & 255]) + bytes(rest)) * 50


def handed_on():
    udp, ports = kit.free_port(), {}
    for alpn in ("one", "two"):
        ports[alpn] = kit.free_port()
        policy = write(f"{alpn}.conf", CERT + f"[listen * {ports[alpn]}]\nendpoint = 127.0.0.1:{udp}\nalpn = {alpn}\n"
                       f"cert = {pki}/server.pem\nkey = {pki}/server.key\nsteering = hash\n")
        kit.check(f"{alpn} listens", serve(alpn, policy, ports[alpn]))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1200)
        begin = time.monotonic()
        while time.monotonic() < begin + 1.5:
            for slot in (0, 1):
                s.sendto(shapes(slot), ("127.0.0.1", udp))
    time.sleep(0.5)
    seen = 0
    for engine in engines():
        for member in engine["members"]:
            if not member["endpoint"].endswith(f":{udp}"):
                continue
            seen += 1
            took = time.monotonic() - begin
            surplus = member["handed_in"] - BURST - RATE * took
            dropped = engine["totals"]["flights_dropped"]
            print(f"     slot {member['slot']}: handed in {member['handed_in']}, dropped {dropped} in {took:.1f} s")
            kit.check("no more than the limit is looked at, whoever handed it on", dropped >= surplus,
                      (member["handed_in"], dropped))
    kit.check("both were seen", seen == 2, seen)


keys_of_workers()
handed_on()
kit.finish()
