# SPDX-License-Identifier: MIT
# Requests a second: wrk and nginx with one worker, keep-alive and with a new connection each.

import os
import re

from harness import CIPHER, Broken, Place

PAGE = "quicshim " * 14 + "\n"


def nginx(bench, place, name, listen, env=None):
    """One worker; listen: [(port, "" or "ssl")]"""
    servers = ""
    for port, how in listen:
        servers += f"server {{ listen {place.addr}:{port} {how} backlog=1024; root {bench.dir}/www;\n"
        if how:
            servers += f"ssl_certificate {bench.pki}/server.pem; ssl_certificate_key {bench.pki}/server.key;\n"
            servers += f"ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites {CIPHER};\n"
        servers += "}\n"
    os.makedirs(bench.dir + "/www", exist_ok=True)
    bench.file("www/index.html", PAGE)
    temp = "".join(f"{kind}_temp_path {bench.dir}/{name}-{kind};\n"
                   for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    # Access to the files as whoever runs the benchmark: user root is only allowed to root.
    user = "user root;\n" if os.getuid() == 0 else ""
    conf = bench.file(f"{name}.conf", f"""{user}worker_processes 1; daemon off;
pid {bench.dir}/{name}.pid; error_log {bench.dir}/{name}.err warn;
events {{ worker_connections 4096; }}
http {{ access_log off; {temp} sendfile on; tcp_nopush on; keepalive_requests 1000000000;
open_file_cache max=10; {servers} }}
""")
    proc = bench.start([*place.server, "nginx", "-e", f"{bench.dir}/{name}.err", "-c", conf], env=env)
    for port, _ in listen:
        bench.wait_port(proc, port, place.server, udp=env is not None)
    return proc


def wrk(bench, url, env, close):
    words = ["wrk", "-t", "1", "-c", "32", "-d", "1s" if bench.quick else "4s", "--timeout", "5s"]
    text = bench.run(words + (["-H", "Connection: close"] if close else []) + [url], env=env)
    rate = re.search(r"Requests/sec:\s*([\d.]+)", text)
    if not rate or float(rate[1]) <= 0:
        raise Broken(f"wrk made no request to {url}: {text.strip()[-200:]}")
    errors = re.search(r"Socket errors:.*|Non-2xx.*", text)
    # With `Connection: close` wrk counts some ends as read errors, on plain TCP as well; anything
    # else is worth a word.
    if errors and not re.fullmatch(r"Socket errors: connect 0, read \d+, write 0, timeout 0", errors[0].strip()):
        bench.note(f"wrk {url}: {errors[0].strip()}")
    return float(rate[1])


def run(bench):
    if not bench.has("nginx", "wrk"):
        return
    place = Place("loopback")
    plain, tls, mapped = bench.port(), bench.port(), bench.port()
    nginx(bench, place, "nginx-plain", [(plain, ""), (tls, "ssl")])
    entries = {"plain": (f"http://127.0.0.1:{plain}/", None), "TLS": (f"https://127.0.0.1:{tls}/", None)}
    if bench.has("stunnel"):
        entries["stunnels"] = (f"http://127.0.0.1:{bench.stunnels(place, plain)[2]}/", None)
    if bench.mapped:
        policy = bench.policy("web.conf", [mapped])
        nginx(bench, place, "nginx-mapped", [(mapped, "")], env=bench.env(policy))
        entries["mapped"] = (f"http://127.0.0.1:{mapped}/", bench.env(policy))
    for title, close in (("requests keep-alive", False), ("requests new connection", True)):
        bench.measure(title, "1/s", {who: (lambda u=url, e=env, c=close: wrk(bench, u, e, c))
                                     for who, (url, env) in entries.items()})
    bench.stop(*list(bench.running))
    bench.mark("new connections a second: mapped by nginx TLS",
               bench.ratio("requests new connection", "mapped", "TLS"), 2.0, True)
