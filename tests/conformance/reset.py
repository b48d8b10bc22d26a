# SPDX-License-Identifier: MIT
"""An engine dies without a last will, and another server takes its port: what clients of the old one send next is
answered by a stateless reset (RFC 9000, 10.3), which is ECONNRESET long before the idle timeout."""
import os
import shutil
import signal
import subprocess
import sys
import time

import kit

SERVER = """
import socket, sys
l = socket.socket()
l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
l.bind(("127.0.0.1", int(sys.argv[1]))); l.listen(5)
print("listening", flush=True)
while True:
    c, _ = l.accept(); c.sendall(b"x"); held = c
"""
CLIENT = """
import socket, sys, time
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.recv(1)
print("ready", flush=True)
sys.stdin.readline()
begin = time.monotonic()
try:
    while time.monotonic() - begin < 20:
        s.send(b"y")
        time.sleep(0.01)
    print("no error", flush=True)
except OSError as e:
    print(type(e).__name__, flush=True)
"""


def start(policy, engine, code, port):
    child = subprocess.Popen([kit.PYTHON, "-c", code, str(port)], env=kit.environment(policy, engine), text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    kit.children.append(child)
    return child


def main():
    folder = kit.begin("reset")
    shutil.copytree(os.path.dirname(kit.SHIM), folder + "/lib")
    kit.SHIM = folder + "/lib/libquicshim.so"
    os.unlink(folder + "/lib/quicshim/quicshim-will")
    policy = folder + "/policy.conf"
    with open(policy, "w") as f:
        f.write(f"[defaults]\nca = {folder}/pki/ca.pem\nmode = quic\nengine = {kit.PLACEMENT}\nidle-timeout = 1h\n"
                f"[connect 127.0.0.1 *]\n[listen * *]\ncert = {folder}/pki/server.pem\nkey = {folder}/pki/server.key\n")
    os.chmod(policy, 0o644)
    port = kit.free_port()
    engine = kit.new_engine()
    server = start(policy, engine, SERVER, port)
    server.stdout.readline()
    clients = [start(policy, engine_of, CLIENT, port) for engine_of in (kit.new_engine(), kit.new_engine())]
    for client in clients:
        kit.check("connected", client.stdout.readline().strip() == "ready")
    os.kill(kit.engine_pid(engine), signal.SIGKILL)
    server.kill()
    server.wait()
    other = start(policy, kit.new_engine(), SERVER, port)
    kit.check("another server has the port", other.stdout.readline().strip() == "listening")
    for client in clients:
        client.stdin.write("\n")
        client.stdin.flush()
    for client in clients:
        said = client.stdout.readline().strip()
        kit.check("its next write is answered by a reset", said in ("ConnectionResetError", "BrokenPipeError"), said)
    kit.finish()


sys.exit(main())
