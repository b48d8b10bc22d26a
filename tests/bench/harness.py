# SPDX-License-Identifier: MIT
# What all benchmarks share: processes, ports, places (loopback, namespaces), stunnel pairs, results.

import json
import os
import random
import resource
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# One cipher for all who encrypt, the one that quicshim uses: the comparison is about the way, not
# about AES-128 against AES-256.
CIPHER = "TLS_AES_128_GCM_SHA256"


class Broken(Exception):
    """Something that had to work did not: ends the run with exit code 1."""


class Place:
    """Where client and server run: both here, or in a namespace each."""

    def __init__(self, name, addr="127.0.0.1", client_ns=None, server_ns=None):
        self.name, self.addr = name, addr
        self.client = ["ip", "netns", "exec", client_ns] if client_ns else []
        self.server = ["ip", "netns", "exec", server_ns] if server_ns else []


class Bench:
    def __init__(self, build, quick, rounds, engine):
        self.build, self.quick, self.rounds, self.engine = build, quick, rounds, engine
        self.dir = tempfile.mkdtemp(prefix="qs-bench-")
        os.chmod(self.dir, 0o755)
        self.running, self.paths, self.engines = [], [], []
        self.given = set()  # ports
        self.results, self.marks, self.notes = {}, [], []
        self.lib = os.path.join(build, "lib", "libquicshim.so")
        self.mapped = os.path.exists(self.lib)
        self.pki = os.path.join(self.dir, "pki")
        done = subprocess.run([ROOT + "/tests/lib/pki.sh", self.pki], stdout=subprocess.DEVNULL)
        if done.returncode:
            raise Broken("pki.sh failed")
        with open(self.pki + "/stunnel.pem", "w") as out:
            for part in ("server.key", "server.pem"):
                with open(f"{self.pki}/{part}") as file:
                    out.write(file.read())
        os.chmod(self.pki + "/stunnel.pem", 0o600)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
        # Nobody's mapped environment is inherited.
        for name in list(os.environ):
            if name.startswith("QUICSHIM_") or name == "LD_PRELOAD":
                del os.environ[name]

    # Programs

    def has(self, *programs):
        missing = [p for p in programs if not shutil.which(p)]
        if missing:
            self.note("left out, not installed here: " + " ".join(missing))
        return not missing

    def file(self, name, text=None):
        path = os.path.join(self.dir, name)
        if text is not None:
            with open(path, "w") as out:
                out.write(text)
            os.chmod(path, 0o644)
        return path

    def compile(self, source):
        out = self.file(source.removesuffix(".c"))
        if not os.path.exists(out):
            cc = os.environ.get("CC", "cc")
            here = os.path.dirname(os.path.abspath(__file__))
            subprocess.run([cc, "-std=gnu17", "-O2", "-o", out, f"{here}/{source}"], check=True)
        return out

    def start(self, words, env=None, **more):
        log = open(self.file(f"log-{len(os.listdir(self.dir))}-{os.path.basename(words[-1])[:20]}"), "wb")
        more.setdefault("stdin", subprocess.DEVNULL)
        more.setdefault("stdout", log)
        proc = subprocess.Popen(words, env={**os.environ, **(env or {})}, stderr=log, **more)
        proc.log_name = log.name
        self.running.append(proc)
        return proc

    def stop(self, *procs):
        for proc in procs:
            if proc.poll() is None:
                proc.send_signal(signal.SIGTERM)
        for proc in procs:
            try:
                proc.wait(5)
            except subprocess.TimeoutExpired:
                proc.kill()
                proc.wait()
            if proc in self.running:
                self.running.remove(proc)

    def run(self, words, env=None, timeout=120):
        """The output of a client; Broken with its last words when it fails."""
        done = subprocess.run(words, env={**os.environ, **(env or {})}, timeout=timeout, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip())[-300:]
            raise Broken(f"{' '.join(words[:8])} ... ended with {done.returncode}: {last}")
        return done.stdout

    # Ports: a port that nobody uses anywhere, and none twice; looked at without sending a packet.

    def port(self):
        while True:
            port = random.randrange(20000, 32000)
            if port not in self.given and not self.run(["ss", "-Hantu", f"sport = :{port}"]).strip():
                self.given.add(port)
                return port

    def wait_port(self, proc, port, prefix=(), udp=False):
        kind = "-Hlun" if udp else "-Hltn"
        end = time.monotonic() + 15
        while not self.run([*prefix, "ss", kind, f"sport = :{port}"]).strip():
            if proc.poll() is not None or time.monotonic() > end:
                with open(proc.log_name, errors="replace") as log:
                    last = log.read()[-300:].strip()
                raise Broken(f"{proc.args[-1]} does not listen on {port}: {last}")
            time.sleep(0.05)

    # Mapped programs

    def policy(self, name, ports):
        text = f"[defaults]\nca = {self.pki}/ca.pem\nengine = {self.engine}\n"
        for port in ports:
            text += f"[connect * {port}]\nmode = quic\n[listen * {port}]\nmode = quic\n"
            text += f"cert = {self.pki}/server.pem\nkey = {self.pki}/server.key\n"
        return self.file(name, text)

    def env(self, policy, place=None):
        """The environment of a mapped program with an engine of its own; its id is env.id."""
        env = Env(QUICSHIM_POLICY=policy, LD_PRELOAD=self.lib)
        env.id = secrets.token_hex(8)
        env["QUICSHIM_ENGINE"] = f"{env.id}-{secrets.token_hex(16)}"
        self.engines.append((env.id, place.client if place else []))
        return env

    def engine_status(self, engine_id, prefix=()):
        text = self.run([*prefix, f"{self.build}/bin/quicshim-status", "--json"])
        found = [e for e in json.loads(text)["engines"] if e["id"] == engine_id]
        return found[0] if found else None

    # Paths between namespaces

    def path(self, *words):
        """A path of tests/netsim (`veth`, or delay, rate, loss), or None with a note."""
        script = ROOT + "/tests/netsim/path.sh"
        done = subprocess.run([script, "up", *map(str, words)], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env={**os.environ, "QS_BUILD": self.build})
        if done.returncode == 77:
            self.note(f"left out: {done.stderr.strip()}")
            return None
        if done.returncode:
            raise Broken(f"path.sh: {done.stderr.strip()}")
        var = dict(line.split("=", 1) for line in done.stdout.split())
        self.paths.append([var[k] for k in ("QS_NS_A", "QS_NS_B", "QS_RELAY_PID", "QS_PATH_FILES")])
        return Place(str(words[0]), "10.77.0.2", var["QS_NS_A"], var["QS_NS_B"])

    # A pair of stunnels in front of a plain server at 127.0.0.1:target on the server's side

    def stunnels(self, place, target):
        """Two processes, and the port on the client's side at which the pair is entered."""
        enter, middle = self.port(), self.port()
        base = f"foreground = yes\npid =\ndebug = warning\nsocket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n"
        # AES-128 for both, and the client verifies the chain and the name, as quicshim does.
        server = self.file(f"stunnel-{middle}.conf", base +
            f"[s]\naccept = {place.addr}:{middle}\nconnect = 127.0.0.1:{target}\n"
            f"cert = {self.pki}/stunnel.pem\nciphersuites = {CIPHER}\n")
        client = self.file(f"stunnel-{enter}.conf", base +
            f"[c]\nclient = yes\naccept = 127.0.0.1:{enter}\nconnect = {place.addr}:{middle}\n"
            f"CAfile = {self.pki}/ca.pem\nverifyChain = yes\ncheckIP = {place.addr}\nciphersuites = {CIPHER}\n")
        behind = self.start([*place.server, "stunnel", server])
        front = self.start([*place.client, "stunnel", client])
        self.wait_port(behind, middle, place.server)
        self.wait_port(front, enter, place.client)
        return behind, front, enter

    # Results

    def note(self, text):
        self.notes.append(text)
        print(f"  ({text})", flush=True)

    def measure(self, title, unit, variants, better="more", rounds=None):
        """Call each variant's function once a round, in turning order; keep and print the medians.

        variants: name -> function that returns a number. A mapped variant that fails is a result
        too (the run goes on and ends with exit code 1); another one's failure is Broken.
        """
        values = {name: [] for name in variants}
        names = list(variants)
        for turn in range(rounds or self.rounds):
            for name in names[turn % len(names):] + names[:turn % len(names)]:
                try:
                    values[name].append(variants[name]())
                except (Broken, subprocess.TimeoutExpired) as err:
                    if name.split()[0] != "mapped":
                        raise
                    self.failed = True
                    self.note(f"BROKEN: {title}, {name}: {err}")
        self.record(title, unit, values, better)

    failed = False

    def record(self, title, unit, values, better="more"):
        row = {"unit": unit, "better": better, "values": values, "median": {}}
        for name, got in values.items():
            row["median"][name] = statistics.median(got) if got else None
        self.results[title] = row
        shown = "   ".join(f"{name} {show(m)}" for name, m in row["median"].items())
        print(f"  {title} [{unit}]: {shown}", flush=True)

    def ratio(self, title, over, under):
        """median of `over` by median of `under`, or None"""
        median = self.results.get(title, {}).get("median", {})
        if not median.get(over) or not median.get(under):
            return None
        return median[over] / median[under]

    def mark(self, text, got, limit, at_least):
        """A mark of issue 2: what was measured against what was asked for."""
        passed = None if got is None else (got >= limit if at_least else got <= limit)
        self.marks.append({"mark": text, "limit": limit, "at_least": at_least, "got": got, "pass": passed})

    def close(self):
        for engine_id, prefix in self.engines:
            try:
                status = self.engine_status(engine_id, prefix) if self.mapped else None
                if status and status["placement"] == "process":
                    os.kill(status["pid"], signal.SIGTERM)
            except (Broken, OSError, ValueError):
                pass
        self.stop(*list(self.running))
        for words in self.paths:
            subprocess.run([ROOT + "/tests/netsim/path.sh", "down", *words])
        if os.environ.get("QS_KEEP"):
            print(f"kept: {self.dir}")
        else:
            shutil.rmtree(self.dir, ignore_errors=True)


class Env(dict):
    """Environment variables of a mapped program."""

    id = ""


def show(number):
    if number is None:
        return "-"
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.2f}"


def die(text):
    print(f"tests/bench/run: {text}", file=sys.stderr)
    sys.exit(1)
