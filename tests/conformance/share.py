# SPDX-License-Identifier: MIT
"""Programs that know nothing of each other share a UDP port: who gets what, hand-off, restart.

share.py        what needs no program in the kernel, or one of classic BPF
share.py ebpf   with the steering program, which one of the engines loads
share.py pins   with the steering program, which an administrator pinned, and engines without privilege
"""
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading

import kit

PINS = "/sys/fs/bpf"  # where engines look
PART = sys.argv[1] if len(sys.argv) > 1 else ""
if PART:
    kit.need_steering()
if PART == "pins" and os.environ.get("SHARE_INSIDE") != "1":
    os.execvpe("unshare", ["unshare", "-m", kit.PYTHON, *sys.argv], dict(os.environ, SHARE_INSIDE="1"))
folder = kit.begin("share-" + PART if PART else "share")  # no space: it may be in LD_PRELOAD
APP = kit.reachable(folder, os.path.join(kit.HERE, "share_app.py"))[0]


def policy(name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o644)
    return path


def defaults(more=""):
    return f"[defaults]\nmode = quic\nengine = {kit.PLACEMENT}\nca = {folder}/pki/ca.pem\n{more}"


def pair(kind="server"):
    return f"cert = {folder}/pki/{kind}.pem\nkey = {folder}/pki/{kind}.key\n"


def nobodys_pair():
    key = shutil.copy(f"{folder}/pki/server.key", f"{folder}/nobody.key")
    os.chown(key, kit.NOBODY, kit.NOBODY)
    return f"cert = {folder}/pki/server.pem\nkey = {key}\n"


class App:
    """A mapped program with an engine of its own and a pipe each way."""

    def __init__(self, rules, *args, user=None, **more):
        def become():
            if user is not None:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
        env = {**kit.environment(rules, kit.new_engine()), **more}
        self.p = subprocess.Popen([kit.PYTHON, APP, *map(str, args)], env=env, text=True, bufsize=1,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  preexec_fn=become)
        kit.children.append(self.p)

    def line(self, seconds=20):
        if not select.select([self.p.stdout], [], [], seconds)[0]:
            return "HANGS"
        return self.p.stdout.readline().strip()

    def say(self):
        self.p.stdin.write("again\n")
        return self.line()

    def stop(self, sig=signal.SIGTERM):
        self.p.send_signal(sig)

    def end(self):
        self.p.kill()
        self.p.wait()
        kit.children.remove(self.p)
        return self.p.stderr.read().strip()


def ask(rules, address, port, **more):
    app = App(rules, "ask", address, port, **more)
    answer = app.line()
    app.end()
    return answer


class Relay:
    """Forwards datagrams to 127.0.0.1:port; rebind() sends from another port from then on, as a NAT does."""

    def __init__(self, port):
        self.inner = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.inner.bind(("127.0.0.1", 0))
        self.port = self.inner.getsockname()[1]
        self.to = ("127.0.0.1", port)
        self.client = None
        self.outer = []
        self.rebind()
        threading.Thread(target=self.run, daemon=True).start()

    def rebind(self):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", 0))
        self.outer.append(s)

    def run(self):
        while True:
            for s in select.select([self.inner, *self.outer], [], [], 1)[0]:
                data, peer = s.recvfrom(65536)
                try:
                    if s is self.inner:
                        self.client = peer
                        self.outer[-1].sendto(data, self.to)
                    elif self.client:
                        self.inner.sendto(data, self.client)
                except OSError:
                    pass


def handed(port):
    return sum(m["handed_out"] for m in kit.members(port))


def test_same_pair():
    port = kit.free_port()
    server = policy("server", defaults() + f"[listen * *]\n{pair()}")
    client = policy("client", defaults() + "[connect 127.0.0.1 *]\nserver-name = localhost\n")
    one = App(server, "serve", "127.0.0.1", port, "one", "reuseport")
    kit.check("the first of two listens", one.line() == "ready")
    other = App(server, "serve", "127.0.0.2", port, "other", "reuseport")
    kit.check("another address of the port is another matter", other.line() == "ready")
    kit.check("and is reached", ask(client.replace("client", "client"), "127.0.0.1", port) == "one")
    two = App(server, "serve", "127.0.0.1", port, "two", "reuseport")
    kit.check("a second instance shares address, protocol and name", two.line() == "ready")
    tags = {ask(client, "127.0.0.1", port) for _ in range(24)}
    kit.check("both get clients", tags == {"one", "two"}, tags)
    restart(client, server, port, one, two)
    other.end()


def restart(client, server, port, one, two):
    """Connections of an instance that stops run to their end there."""
    kept = []
    while len({tag for _, tag in kept}) < 2 and len(kept) < 24:
        app = App(client, "hold", "127.0.0.1", port)
        kept.append((app, app.line()))
    one.stop()
    kit.check("the one that stops gets no new clients",
              kit.until(lambda: {ask(client, "127.0.0.1", port) for _ in range(6)} == {"two"}, 20))
    said = [app.say() for app, _ in kept]
    kit.check("old connections of both go on", set(said) == {"ok"}, said)
    three = App(server, "serve", "127.0.0.1", port, "three", "reuseport")
    kit.check("a third comes", three.line() == "ready")
    said = [app.say() for app, _ in kept]
    kit.check("old connections live through it", set(said) == {"ok"}, said)
    for app, _ in kept:
        app.p.stdin.close()
        app.p.wait(20)
    kit.check("the one that stopped ends with its last connection", one.p.wait(20) == 0)
    for app in (two, three):
        app.end()


def test_rebinding(rung, more="", keys=None, user=None, port=None):
    """A connection whose address changes, and members that come and go, on one rung of the ladder."""
    port = kit.free_port() if port is None else port
    keys = f"steering = {rung}\n" if keys is None else keys
    server = policy(f"server-{rung}", defaults() + f"[listen * *]\n{keys}{more}"
                    + (pair() if user is None else nobodys_pair()))
    relay = Relay(port)
    client = policy("relayed", defaults() + f"[connect 127.0.0.1 *]\nendpoint = 127.0.0.1:{relay.port}\n"
                    "server-name = localhost\n")
    what = rung if user is None else f"{rung} as nobody"
    apps = [App(server, "serve", "127.0.0.1", port, str(i), "reuseport", user=user) for i in range(3)]
    kit.check(f"{what}: three share a port", [a.line() for a in apps] == ["ready"] * 3)
    kit.check(f"{what}: it is the rung",
              kit.until(lambda: [m["steering"] for m in kit.members(port)] == [rung] * 3, 10), kit.members(port))
    before = handed(port)
    held = App(client, "hold", "127.0.0.1", port)
    first = held.line()
    said = [held.say()]
    for _ in range(8):
        relay.rebind()
        said.append(held.say())
    kit.check(f"{what}: a connection survives rebinding", set(said) == {"ok"}, said)
    moved = handed(port) - before
    if rung == "hash":
        kit.check("hash: by hand-off", moved > 0, kit.members(port))
    else:
        kit.check(f"{what}: nothing was handed over", moved == 0, kit.members(port))
    come_and_go(what, port, server, relay, held, apps, first, user)
    print(f"     {what}: {moved} hand-offs while nobody came or left")


def come_and_go(rung, port, server, relay, held, apps, first, user):
    """Others leave in order, one is killed, another comes: no byte of `held` is lost."""
    kit.check(f"{rung}: it is somebody's", first in "012", first)
    others = [a for i, a in enumerate(apps) if str(i) != first]
    others[0].stop()
    said = [held.say()]
    others[1].end()
    relay.rebind()
    said.append(held.say())
    late = App(server, "serve", "127.0.0.1", port, "late", "reuseport", user=user)
    kit.check(f"{rung}: one comes late", late.line() == "ready")
    for _ in range(4):
        relay.rebind()
        said.append(held.say())
    kit.check(f"{rung}: members leave, die and come without a lost byte", set(said) == {"ok"}, said)
    for app in (held, late, *[a for a in apps if a is not others[1]]):
        app.end()


def test_clash():
    port = kit.free_port()
    server = policy("clash", defaults() + f"[listen * *]\nendpoint = :{port}\n{pair()}")
    one = App(server, "serve", "127.0.0.1", port, "one")
    kit.check("one listens", one.line() == "ready")
    two = App(server, "serve", "127.0.0.1", kit.free_port(), "two")
    kit.check("the same protocol and name from another TCP port is EADDRINUSE", two.line() == "EADDRINUSE")
    said = two.end()
    kit.check("and the line says who has it", f"pid {one.p.pid} (python" in said, said)
    kit.check("no other program can take half of the datagrams",
              kit.until(lambda: busy(port, socket.SO_REUSEPORT)))
    one.end()
    kit.check("the port is free again", kit.until(lambda: not busy(port)))
    plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    plain.bind(("127.0.0.1", port))
    three = App(server, "serve", "127.0.0.1", port, "three")
    kit.check("a port that another program has is EADDRINUSE", three.line(30) == "EADDRINUSE")
    said = three.end()
    kit.check("and the line says so", "in use by another program" in said, said)
    plain.close()


def why(log):
    """The lines of an engine's log that tell why a peer closed a connection; the log is gone then."""
    with open(log) as f:
        told = [line for line in f if "closed by the peer" in line]
    os.unlink(log)
    return told


def test_decision():
    """Who gets a client is decided by protocol and name, whatever socket its datagrams reach."""
    subprocess.run([os.path.join(kit.ROOT, "tests/lib/pki.sh"), folder + "/names", "www.a.test", "x.b.test",
                    "c.test"], check=True, stdout=subprocess.DEVNULL)
    port = kit.free_port()
    certs = f"cert = {folder}/names/server.pem\nkey = {folder}/names/server.key\n"
    others = defaults(f"endpoint = :{port}\n")
    names = {"smb": "alpn = smb\n", "a": "alpn = h3\nserver-name = www.a.test, a.test\n",
             "b": "alpn = h3\nserver-name = *.b.test\n", "any": "alpn = h3\n", "smtp": "alpn = smtp\n"}
    apps = {}
    for tag, keys in names.items():
        rules = policy(f"server-{tag}", others + f"[listen * *]\n{certs}{keys}")
        apps[tag] = App(rules, "serve", "127.0.0.1", kit.free_port(), tag)
        kit.check(f"{tag} listens beside the others", apps[tag].line() == "ready")

    log = os.path.join(folder, "client.log")

    def client(alpn, name, **more):
        path = policy(f"client-{alpn}-{name}", f"[defaults]\nmode = quic\nengine = {kit.PLACEMENT}\n"
                      f"ca = {folder}/names/ca.pem\n[connect 127.0.0.1 *]\nendpoint = :{port}\nalpn = {alpn}\n"
                      f"server-name = {name}\n")
        return ask(path, "127.0.0.1", 1, **more)

    wanted = {("smb", "localhost"): "smb", ("h3", "www.a.test"): "a", ("h3", "x.b.test"): "b",
              ("h3", "c.test"): "any", ("smtp", "c.test"): "smtp", ("imap", "c.test"): "ECONNREFUSED"}
    for _ in range(3):
        for (alpn, name), tag in wanted.items():
            got = client(alpn, name)
            kit.check(f"{alpn} {name} goes to {tag}", got == tag, got)
    apps.pop("any").end()
    kit.check("a name that nobody serves is refused",
              kit.until(lambda: client("h3", "c.test") == "ECONNREFUSED"))
    kit.check("the others stay", client("h3", "x.b.test") == "b")
    # The program sees the same errno of both; its engine's log knows which of the alerts it was.
    for (alpn, name), text in {("imap", "x.b.test"): "no application protocol in common",
                               ("h3", "c.test"): "server name not recognized"}.items():
        kit.check(f"{alpn} {name}: refused", client(alpn, name, QUICSHIM_LOG=log) == "ECONNREFUSED")
        told = why(log)
        kit.check(f"{alpn} {name}: {text}", len(told) == 1 and text in told[0], told)
    late = App(policy("server-late", others + f"[listen * *]\n{certs}{names['any']}"), "serve", "127.0.0.1",
               kit.free_port(), "late")
    kit.check("one that comes later", late.line() == "ready")
    kit.check("is there at once", client("h3", "c.test") == "late")
    twice = App(policy("server-twice", others + f"[listen * *]\n{certs}alpn = h3\nserver-name = c.test *.b.test\n"),
                "serve", "127.0.0.1", kit.free_port(), "twice")
    kit.check("a name that somebody has is EADDRINUSE", twice.line(30) == "EADDRINUSE")
    said = twice.end()
    kit.check("and the line says which and who",
              f"alpn h3, server-name *.b.test is served by pid {apps['b'].p.pid} (python" in said, said)
    kit.check("the others go on", client("h3", "x.b.test") == "b")
    late.end()
    for app in apps.values():
        app.end()


def test_one_program():
    """Several rules of one engine on one UDP address."""
    port = kit.free_port()
    ports = [kit.free_port() for _ in range(3)]
    text = defaults(f"endpoint = :{port}\n") + "".join(
        f"[listen * {p}]\n{pair()}alpn = p{i}\n" for i, p in enumerate(ports))
    app = App(policy("several", text), "many", "127.0.0.1", ports[0], *ports[1:])
    kit.check("one program listens thrice on one UDP address", app.line() == "ready")
    for i in range(3):
        client = policy(f"several-{i}", defaults() + f"[connect 127.0.0.1 *]\nendpoint = :{port}\n"
                        f"alpn = p{i}\nserver-name = localhost\n")
        got = ask(client, "127.0.0.1", 1)
        kit.check(f"protocol p{i} reaches its own listener", got == str(ports[i]), got)
    app.end()


def busy(port, option=None):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        if option:
            s.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            s.bind(("127.0.0.1", port))
            return False
        except OSError:
            return True


def steer(*words):
    return subprocess.run([os.path.join(kit.BUILD, "bin/quicshim-steer"), *map(str, words)], check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_pins():
    """Engines without privilege use what an administrator pinned for their address, and only then."""
    if subprocess.run(["mount", "--make-rprivate", "/"], check=False).returncode != 0 or \
       subprocess.run(["mount", "-t", "bpf", "-o", "mode=0711", "bpf", PINS], check=False).returncode != 0:
        kit.skip(f"no BPF file system can be mounted at {PINS} here")
    before = set(os.listdir(PINS))
    port = kit.free_port()
    at = ("--address", f"127.0.0.1:{port}")
    done = steer(*at, "--owner", kit.NOBODY, "--group", kit.NOBODY, "load")
    kit.check("pins: an administrator loads", done.returncode == 0, done.stderr)
    test_rebinding("ebpf", user=kit.NOBODY, port=port)
    shown = json.loads(steer(*at, "--json", "show").stdout)
    kit.check("pins: it was that program", shown["datagrams"]["steered"] > 0 and shown["datagrams"]["new"] > 0, shown)
    kit.check("pins: nobody is left in it", kit.until(lambda: not any(
        slot["socket"] for slot in json.loads(steer(*at, "--json", "show").stdout)["slots"])), shown)
    done = steer(*at, "unload")
    kit.check("pins: they are removed", done.returncode == 0 and set(os.listdir(PINS)) == before,
              f"{done.stderr} {os.listdir(PINS)}")
    server = policy("server-nobody", defaults() + f"[listen * *]\nsteering = ebpf\n{nobodys_pair()}")
    apps = [App(server, "serve", "127.0.0.1", port, i, "reuseport", user=kit.NOBODY) for i in range(2)]
    kit.check("pins: two share the port without", [a.line() for a in apps] == ["ready"] * 2)
    kit.check("pins: and there is no program",
              kit.until(lambda: [m["steering"] for m in kit.members(port)] == ["hash"] * 2), kit.members(port))
    for app in apps:
        app.end()
    squatted(port)


def squatted(port):
    """Where users may write into that file system, as the kernel mounts it, one of them can be there first."""
    stranger = os.path.join(PINS, f"quicshim-udp4-{port}-7f000001")
    os.mkdir(stranger)
    os.chown(stranger, kit.NOBODY, kit.NOBODY)
    server = policy("server-squatted", defaults() + f"[listen * *]\nsteering = ebpf\n{pair()}")
    apps = [App(server, "serve", "127.0.0.1", port, i, "reuseport") for i in range(2)]
    kit.check("pins: root's engines share the port", [a.line() for a in apps] == ["ready"] * 2)
    kit.check("pins: and do not care for what a stranger has put there",
              kit.until(lambda: [m["steering"] for m in kit.members(port)] == ["ebpf"] * 2), kit.members(port))
    for app in apps:
        app.end()
    os.rmdir(stranger)


if PART == "ebpf":
    test_rebinding("ebpf", "host-id = 9\n")
elif PART == "pins":
    test_pins()
else:
    test_decision()
    test_one_program()
    test_clash()
    test_rebinding("hash")
    test_rebinding("classic", "host-id = 9\n")
    if os.geteuid() == 0:
        test_rebinding("classic", user=kit.NOBODY)
        test_rebinding("classic", keys="", user=kit.NOBODY)  # what steering = auto comes to
    cid_key = policy("cid.key", "000102030405060708090a0b0c0d0e0f\n")
    test_rebinding("hash", f"cid-key = {cid_key}\nhost-id = 9\n")
    test_same_pair()
kit.finish()
