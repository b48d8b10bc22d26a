# SPDX-License-Identifier: MIT
"""What the conformance tests share: a private folder, certificates, mapped programs, and a report.

QS_BUILD names the build tree (default: build/ of this checkout), QS_ENGINE the placement (process or
thread), QS_KEEP=1 keeps the folder. Exit codes: 0 passed, 1 failed, 77 something is missing here.
"""
import atexit
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("QS_BUILD") or os.path.join(ROOT, "build")
SHIM = os.path.join(BUILD, "lib", "libquicshim.so")
PLACEMENT = os.environ.get("QS_ENGINE", "process")
PYTHON = "/usr/bin/python3"
NOBODY = 65534
PORTS = "/tmp/quicshim-test-ports"

failures = []
children = []
claimed = []


def skip(why):
    print("SKIP:", why, file=sys.stderr)
    sys.exit(77)


def sanitized(path):
    with open(path, "rb") as f:
        return b"__asan_init" in f.read()


def begin(name):
    """The folder with pki/ in it."""
    if not os.path.exists(SHIM):
        skip(f"{SHIM} is not built (QS_BUILD names the build tree)")
    if sanitized(SHIM):
        skip("the shim is built with ASan, which python is not")
    folder = tempfile.mkdtemp(prefix=f"qs-{name}-", dir="/tmp")
    os.chmod(folder, 0o755)
    atexit.register(end, folder)
    made = subprocess.run([os.path.join(ROOT, "tests/lib/pki.sh"), folder + "/pki"], check=False)
    if made.returncode == 77:
        skip("certtool is missing")
    if made.returncode != 0:
        sys.exit(1)
    os.chmod(folder + "/pki", 0o755)
    print(f"== {name}")
    return folder


def end(folder):
    for child in children:
        child.kill()
        child.wait()
    for at in claimed:
        os.unlink(at)
    if os.environ.get("QS_KEEP"):
        print("kept:", folder)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def check(name, good, detail=""):
    print(("ok   " if good else "FAIL ") + name + ("" if good else f": {detail}"), flush=True)
    if not good:
        failures.append(name)
    return good


def finish():
    if failures:
        print(f"FAIL: {len(failures)}: {', '.join(failures)}", file=sys.stderr)
        sys.exit(1)
    print("ok")
    sys.exit(0)


def reachable(folder, *files):
    """For a program that becomes nobody: the shim and these files, in `folder` if the tree is closed to others."""
    global SHIM
    probe = ["setpriv", f"--reuid={NOBODY}", "--clear-groups", "test", "-r", SHIM]
    if os.geteuid() != 0 or subprocess.run(probe, check=False).returncode == 0:
        return files
    shutil.copytree(os.path.dirname(SHIM), folder + "/lib")
    SHIM = folder + "/lib/libquicshim.so"
    return [shutil.copy(f, folder) for f in files]


def environment(policy, engine=None):
    """For a mapped program. The same `engine` for two programs means that they share one."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("QUICSHIM_", "LD_"))}
    env["LD_PRELOAD"] = SHIM
    env["QUICSHIM_POLICY"] = policy
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    if engine is not None:
        env["QUICSHIM_ENGINE"] = engine
    if os.environ.get("QUICSHIM_LOG"):
        env["QUICSHIM_LOG"] = os.environ["QUICSHIM_LOG"]
    return env


def new_engine():
    return os.urandom(8).hex() + "-" + os.urandom(16).hex()


def engine_pid(engine):
    """Of the engine with this identity, or None."""
    answer = subprocess.run([os.path.join(BUILD, "bin/quicshim-status"), "--json"], check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        engines = json.loads(answer.stdout)["engines"]
    except ValueError:
        return None
    return next((e["pid"] for e in engines if e["id"] == engine.split("-")[0]), None)


def members(port):
    """Of all engines that serve this UDP port."""
    answer = subprocess.run([os.path.join(BUILD, "bin/quicshim-status"), "--json"], check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return [m for e in json.loads(answer.stdout)["engines"] for m in e["members"]
            if m["endpoint"].endswith(f":{port}")]


def claim(port):
    """No other test may have it while this one lives (tests/lib/common.sh does the same)."""
    at = os.path.join(PORTS, str(port))
    try:
        os.makedirs(PORTS, exist_ok=True)
        if os.path.islink(at) and not os.path.exists("/proc/" + os.readlink(at)):
            os.unlink(at)
        os.symlink(str(os.getpid()), at)
    except OSError:
        return False
    claimed.append(at)
    return True


def free_port():
    """Neither TCP nor UDP uses it just now; below the ephemeral range."""
    for _ in range(200):
        port = random.randrange(20000, 32000)
        if not claim(port):
            continue
        with socket.socket() as t, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            try:
                t.bind(("127.0.0.1", port))
                u.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    sys.exit("no free port")


def tcp_guard(port):
    """A plain TCP listener that must never see anybody."""
    guard = socket.socket()
    guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    guard.bind(("127.0.0.1", port))
    guard.listen(16)
    guard.setblocking(False)
    return guard


def untouched(guard):
    try:
        guard.accept()[0].close()
        return False
    except BlockingIOError:
        return True


def run(args, env, user=None, limit=20):
    """A program to its end: (exit code, standard output, lines on standard error)."""
    def drop():
        if user is not None:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
    p = subprocess.run(args, env=env, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=limit, preexec_fn=drop)
    return p.returncode, p.stdout.decode(), p.stderr.decode().splitlines()


def start(args, env, log):
    """A program in the background, ended at exit by its pid."""
    with open(log, "wb") as out:
        p = subprocess.Popen(args, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    children.append(p)
    return p


def until(condition, seconds=10):
    end_at = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end_at:
            return False
        time.sleep(0.01)
    return True


def steering_lacks():
    """Why no engine can load the steering program here; None: then one that has privilege must."""
    program = os.path.join(BUILD, "bpf/steer-size-program")
    if not os.path.exists(program):
        return "built without clang, bpftool or libbpf"
    with open("/proc/self/status") as f:
        if any(line.split() == ["Seccomp:", "2"] for line in f):
            return "a seccomp filter is on, under which an engine loads nothing"
    tried = subprocess.run([program], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
    return "no eBPF program can be loaded here (needs root)" if tried == 77 else None


def need_steering():
    lacks = steering_lacks()
    if lacks is not None:
        skip(lacks)


def stop(p, sig=signal.SIGTERM):
    p.send_signal(sig)
    p.wait()
    children.remove(p)
