# SPDX-License-Identifier: MIT
# What a program that maps nothing pays for being preloaded: its start, and redis under load.

import statistics


def startup(bench, env):
    tool = bench.compile("startup.c")
    runs = 300 if bench.quick else 1000
    values = {"without": [], "with": []}
    medians = {"without": [], "with": []}
    for _ in range(bench.rounds):
        lines = bench.run([tool, str(runs), "/bin/true", *(f"{k}={v}" for k, v in env.items())]).splitlines()
        for name, line in zip(values, lines):
            mean, median = map(float, line.split())
            values[name].append(mean)
            medians[name].append(median)
    bench.record("start of true, mean", "us", values, better="less")
    bench.record("start of true, median", "us", medians, better="less")
    # By the medians: the mean of a run in which something else woke up says nothing about us.
    got = statistics.median(b - a for a, b in zip(medians["without"], medians["with"]))
    bench.mark("start of an unmapped program: ms more", got / 1000 if bench.mapped else None, 0.5, False)


def cpu_ns(pid):
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[0])


def redis(bench, env):
    """Pairs of short runs, the order changing from pair to pair, and the servers anew now and then"""
    requests = 50000 if bench.quick else 100000
    batches, pairs = (1, 4) if bench.quick else (2 * bench.rounds, 6)
    rate = {"without": [], "with": []}
    cpu = {"without": [], "with": []}
    for batch in range(batches):
        servers = {}
        for name in sorted(rate, reverse=batch % 2 == 1):
            port = bench.port()
            proc = bench.start(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                                "--dir", bench.dir], env=env if name == "with" else None)
            bench.wait_port(proc, port)
            servers[name] = (proc, port)
        for pair in range(pairs + 1):
            for name in sorted(rate, reverse=pair % 2 == 1):
                proc, port = servers[name]
                before = cpu_ns(proc.pid)
                text = bench.run(["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-c", "50", "-n",
                                  str(requests), "-t", "get", "--csv"],
                                 env=env if name == "with" else None)
                if pair == 0:
                    continue  # warms up
                rate[name].append(float(text.splitlines()[-1].split(",")[1].strip('"')))
                cpu[name].append((cpu_ns(proc.pid) - before) / requests)
        bench.stop(*list(bench.running))
    bench.record("redis, unmapped", "1/s", rate)
    bench.record("redis, unmapped, server's processor time", "ns/request", cpu, better="less")
    ratios = [b / a for a, b in zip(rate["without"], rate["with"])]
    spread = statistics.stdev(ratios) / len(ratios) ** 0.5
    bench.results["redis, unmapped"]["pairs"] = {"median ratio": statistics.median(ratios), "standard error": spread}
    print(f"  redis with by without: {statistics.median(ratios):.3f} (+- {spread:.3f}, {len(ratios)} pairs)")
    bench.mark("redis-benchmark on an unmapped server: with by without",
               statistics.median(ratios) if bench.mapped else None, 0.98, True)


def run(bench):
    if not bench.mapped:
        # The measure itself: with a setting that means nothing both must be alike.
        env = {"QUICSHIM_NOTHING": "1"}
        bench.note("not built: with and without the shim are the same here, the difference is noise")
    else:
        # A policy that names only what these programs do not use.
        env = {"QUICSHIM_POLICY": bench.policy("unmapped.conf", [9]), "LD_PRELOAD": bench.lib}
    startup(bench, env)
    if bench.has("redis-server", "redis-benchmark"):
        redis(bench, env)
