# SPDX-License-Identifier: MIT
"""Options that are accepted without effect are counted, once each time that one is set, before connect() and after."""
import json
import subprocess

import kit

folder = kit.begin("options")
port = kit.free_port()
policy = f"{folder}/policy.conf"
with open(policy, "w") as f:
    f.write(f"[defaults]\nmode = quic\nengine = {kit.PLACEMENT}\nca = {folder}/pki/ca.pem\n[connect * {port}]\n"
            f"[listen * {port}]\ncert = {folder}/pki/server.pem\nkey = {folder}/pki/server.key\n")

CLIENT = """
import socket, sys
s = socket.socket()
for when in ("before", "after"):
    for name in sys.argv[2:]:
        if name == "TCP_CONGESTION":
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
        else:
            s.setsockopt(*((socket.SOL_SOCKET, socket.SO_KEEPALIVE) if name == "SO_KEEPALIVE" else
                           (socket.IPPROTO_TCP, getattr(socket, name))), 1)
    if when == "before":
        s.connect(("127.0.0.1", int(sys.argv[1])))
print("set", flush=True)
sys.stdin.read()
"""


def counted(*options):
    engine = kit.new_engine()
    client = subprocess.Popen([kit.PYTHON, "-c", CLIENT, str(port), *options], env=kit.environment(policy, engine),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    kit.children.append(client)
    ready = client.stdout.readline()
    answer = subprocess.run([f"{kit.BUILD}/bin/quicshim-status", "--json"], check=True, stdout=subprocess.PIPE)
    totals = [e["totals"] for e in json.loads(answer.stdout)["engines"] if e["id"] == engine.split("-")[0]]
    client.stdin.close()
    client.wait()
    kit.children.remove(client)
    return ready, [t["options_ignored"] for t in totals]


log = f"{folder}/server.log"
kit.start([kit.PYTHON, kit.HERE + "/app.py", "serve", str(port)], kit.environment(policy, kit.new_engine()), log)
kit.check("the server listens", kit.until(lambda: "ready" in open(log).read()))
for names, n in ((("TCP_NODELAY", "SO_KEEPALIVE", "TCP_USER_TIMEOUT"), 0), (("TCP_CORK", "TCP_QUICKACK", "TCP_KEEPIDLE"), 6),
                 (("TCP_CONGESTION",), 2), (("TCP_NOTSENT_LOWAT",), 2), (("TCP_LINGER2", "TCP_NODELAY"), 2)):
    got = counted(*names)
    kit.check(f"{', '.join(names)}: {n}", got == ("set\n", [n]), got)
kit.finish()
