# SPDX-License-Identifier: MIT
"""An engine dies without a last will, and another server takes its port: what clients of the old one send next is
answered by a stateless reset (RFC 9000, 10.3), which is ECONNRESET within a round trip, long before the idle timeout.
Here on loopback; tests/netsim/test-reset does it on a path with a delay."""
import os
import shutil
import signal
import subprocess
import sys

import kit

BOUND_S = 2  # a round trip after its next packet; the rest is for machines that are busy
SERVER = """
import socket, sys
l = socket.socket()
l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
l.bind((sys.argv[1], int(sys.argv[2]))); l.listen(5)
print("listening", flush=True)
held = []  # to close one would make it a broken pipe
while True:
    c, _ = l.accept(); c.sendall(b"x"); held.append(c)
"""
CLIENT = """
import socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.recv(1)
print("ready", flush=True)
sys.stdin.readline()
begin = time.monotonic()
try:
    while time.monotonic() - begin < 20:
        s.send(b"y")
        time.sleep(0.01)
    print("none 20", flush=True)
except OSError as e:
    print(type(e).__name__, time.monotonic() - begin, flush=True)
"""


def start(words, policy, engine, code, *args):
    """A mapped program; `words` stand before it and are not mapped."""
    env = [f"{name}={value}" for name, value in kit.environment(policy, engine).items()
           if name.startswith(("QUICSHIM_", "LD_"))]
    child = subprocess.Popen([*words, "env", *env, kit.PYTHON, "-c", code, *args], text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    kit.children.append(child)
    return child


def main(pid_of=kit.engine_pid, server_words=(), client_words=(), address="127.0.0.1"):
    """`pid_of` finds the server's engine."""
    folder = kit.begin("reset")
    shutil.copytree(os.path.dirname(kit.SHIM), folder + "/lib")
    kit.SHIM = folder + "/lib/libquicshim.so"
    os.unlink(folder + "/lib/quicshim/quicshim-will")
    policy = folder + "/policy.conf"
    with open(policy, "w") as f:
        f.write(f"[defaults]\nca = {folder}/pki/ca.pem\nmode = quic\nengine = {kit.PLACEMENT}\nidle-timeout = 1h\n"
                f"[connect {address} *]\nserver-name = localhost\n"
                f"[listen * *]\ncert = {folder}/pki/server.pem\nkey = {folder}/pki/server.key\n")
    os.chmod(policy, 0o644)
    port = str(kit.free_port())
    engine = kit.new_engine()
    server = start(server_words, policy, engine, SERVER, address, port)
    server.stdout.readline()
    clients = [start(client_words, policy, kit.new_engine(), CLIENT, address, port) for _ in range(2)]
    for client in clients:
        kit.check("connected", client.stdout.readline().strip() == "ready")
    os.kill(pid_of(engine), signal.SIGKILL)
    server.kill()
    server.wait()
    other = start(server_words, policy, kit.new_engine(), SERVER, address, port)
    kit.check("another server has the port", other.stdout.readline().strip() == "listening")
    for client in clients:
        client.stdin.write("\n")
        client.stdin.flush()
    for client in clients:
        said = client.stdout.readline().strip()
        name, took = said.split()
        kit.check("its next write is answered by a reset", name == "ConnectionResetError", said)
        kit.check(f"within {BOUND_S} s", float(took) < BOUND_S, said)
        print(f"     after {float(took) * 1000:.0f} ms", flush=True)
    kit.finish()


if __name__ == "__main__":
    main()
