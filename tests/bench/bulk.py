# SPDX-License-Identifier: MIT
# Bulk: iperf3 with one stream, both directions, mapped, plain and through a pair of stunnels.

import json

from harness import Broken, Place


def servers(bench, place, policy, port):
    """iperf3 servers at place; name -> (address, port, environment of the client)"""
    plain, behind = bench.port(), bench.port()
    entries = {}
    server = bench.start([*place.server, "iperf3", "-s", "-B", place.addr, "-p", str(plain)])
    bench.wait_port(server, plain, place.server)
    entries["plain"] = (place.addr, plain, None)
    if bench.has("stunnel"):
        server = bench.start([*place.server, "iperf3", "-s", "-B", "127.0.0.1", "-p", str(behind)])
        bench.wait_port(server, behind, place.server)
        entries["stunnels"] = ("127.0.0.1", bench.stunnels(place, behind)[2], None)
    if bench.mapped:
        server = bench.start([*place.server, "iperf3", "-s", "-B", place.addr, "-p", str(port)],
                             env=bench.env(policy, place))
        bench.wait_port(server, port, place.server, udp=True)
        entries["mapped"] = (place.addr, port, bench.env(policy, place))
    return entries


def one(bench, place, entry, reverse):
    addr, port, env = entry
    words = [*place.client, "iperf3", "-J", "-c", addr, "-p", str(port), "-t", "1" if bench.quick else "5"]
    if not bench.quick:
        words += ["-O", "1"]
    end = json.loads(bench.run(words + (["-R"] if reverse else []), env=env))["end"]
    got = end["sum_received"]["bits_per_second"] / 1e9
    if got <= 0:
        raise Broken("iperf3 received nothing")
    return got


def at(bench, place):
    port = bench.port()
    entries = servers(bench, place, bench.policy(f"bulk-{port}.conf", [port]), port)
    for name, reverse in (("upload", False), ("download", True)):
        bench.measure(f"bulk {place.name} {name}", "Gbit/s",
                      {who: (lambda e=entry, r=reverse: one(bench, place, e, r)) for who, entry in entries.items()})
    bench.stop(*list(bench.running))


def run(bench):
    if not bench.has("iperf3"):
        return
    at(bench, Place("loopback"))
    veth = bench.path("veth")
    if veth:
        at(bench, veth)
    for name, limit in (("loopback", 2.0), ("veth", 1.3)):
        for way in ("upload", "download"):
            bench.mark(f"bulk on {name}, {way}: mapped by stunnels",
                       bench.ratio(f"bulk {name} {way}", "mapped", "stunnels"), limit, True)
