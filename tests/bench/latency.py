# SPDX-License-Identifier: MIT
# Time to the first byte of a new connection on a path with a round trip of 50 ms.

import os

from web import nginx

RTT_MS = 50


def run(bench):
    if not bench.has("nginx", "ip"):
        return
    place = bench.path(RTT_MS / 2, 0, 0)
    if not place:
        return
    plain, tls, mapped = bench.port(), bench.port(), bench.port()
    nginx(bench, place, "ttfb-plain", [(plain, ""), (tls, "ssl")])
    policy = None
    if bench.mapped:
        policy = bench.policy("ttfb.conf", [mapped])
        nginx(bench, place, "ttfb-mapped", [(mapped, "")], env=bench.env(policy, place))
    probe = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ttfb.py")
    count = 5 if bench.quick else 20

    def times(port, env=None, how="plain"):
        text = bench.run([*place.client, "/usr/bin/python3", probe, place.addr, str(port), how, str(count),
                          f"{bench.pki}/ca.pem"], env=env)
        return [float(word) for word in text.split()]

    values = {"plain": [], "TLS": []}
    if policy:
        values.update({"mapped cold": [], "mapped warm": []})
    for _ in range(bench.rounds):
        values["plain"] += times(plain)
        values["TLS"] += times(tls, how="tls")
        if policy:
            # An engine of its own for each round, so that its first connection is a cold one.
            cold, *warm = times(mapped, env=bench.env(policy, place))
            values["mapped cold"].append(cold)
            values["mapped warm"] += warm
    bench.record("time to first byte", "ms", values, better="less")
    bench.stop(*list(bench.running))
    warm = bench.results["time to first byte"]["median"].get("mapped warm")
    # A fifth more than one round trip, for the programs and the relay.
    bench.mark("warm connect plus first byte, in round trips", warm and warm / RTT_MS, 1.2, False)
