# SPDX-License-Identifier: MIT
"""The programs of held.py; they know nothing of quicshim. Both do what the lines of standard input say.

held_app.py serve PORT TAG     listens and says "ready"; then each command says its name when it is done:
    accept N    takes so many connections
    taste       reads one octet of each
    foreign N   a child without LD_PRELOAD takes so many, reads one octet of each, and ends
    close       closes the listener
    drop        closes the connections, with what they have not read
    finish      reads a request of each and closes it
    serve       from now on answers each request with TAG
    count       says how many it has answered
held_app.py ask PORT
    open N      makes so many connections and sends a request on each
    read        one line of JSON: how they ended
"""
import collections
import errno
import json
import os
import socket
import subprocess
import sys
import threading

FOREIGN = """
import socket, sys
listener = socket.socket(fileno=int(sys.argv[1]))
taken = [listener.accept()[0] for _ in range(int(sys.argv[2]))]
for s in taken:
    s.recv(1)
"""
answered = []


def answer(listener, tag):
    while True:
        with listener.accept()[0] as s:
            if s.recv(64):
                s.sendall(tag.encode() + b"\n")
                answered.append(1)


def foreign(listener, n):
    env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    subprocess.run([sys.executable, "-c", FOREIGN, str(listener.fileno()), n], env=env, check=True,
                   pass_fds=[listener.fileno()])


def serve(port, tag):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(512)
    taken = []
    print("ready", flush=True)
    for line in sys.stdin:
        command, *argument = line.split()
        if command == "accept":
            taken = [listener.accept()[0] for _ in range(int(argument[0]))]
        elif command == "taste":
            command = "taste" if all(s.recv(1) == b"h" for s in taken) else "WRONG"
        elif command == "foreign":
            foreign(listener, argument[0])
        elif command == "close":
            listener.close()
        elif command == "finish":
            while taken:
                with taken.pop() as s:
                    s.recv(64)
        elif command == "drop":
            while taken:
                taken.pop().close()
        elif command == "serve":
            threading.Thread(target=answer, args=(listener, tag), daemon=True).start()
        elif command == "count":
            command = str(len(answered))
        print(command, flush=True)
    os._exit(0)


def end_of(s):
    try:
        with s:
            return s.recv(64).decode().strip() or "EOF"
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e)) if e.errno else str(e)


def ask(port):
    opened = []
    for line in sys.stdin:
        command, *argument = line.split()
        if command == "open":
            for _ in range(int(argument[0])):
                opened.append(socket.create_connection(("127.0.0.1", port), 60))
                opened[-1].sendall(b"hello")
            print(command, flush=True)
        elif command == "read":
            print(json.dumps(collections.Counter(end_of(s) for s in opened)), flush=True)
            opened.clear()


def main():
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]), sys.argv[3])
    else:
        ask(int(sys.argv[2]))


main()
