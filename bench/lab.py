# SPDX-License-Identifier: MIT
"""The bench's network: a client, a gateway and a server, each a network namespace of its own, joined by veths."""

import os
import pathlib
import subprocess
import time

PREFIX = "limpid-bench-"
CLIENT, GATEWAY, SERVER = (PREFIX + name for name in ("client", "gateway", "server"))
SERVER_ADDRESS = "203.0.113.80"
INTERCEPTED = (80, 5201)  # nginx and iperf3
DATAGRAMS, DNS = UDP_INTERCEPTED = (7000, 53)  # udp_load; a flow to port 53 may be forgotten when it is answered
CLIENTS = ("198.18.0.1", 200)  # the first of the client's other addresses, and how many
DESTINATIONS = ("198.19.0.1", 10000)  # of the server's

# bbr paces veths down and hides what is measured. A namespace may use what the initial one allows.
ALLOWED = pathlib.Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")


class BenchError(Exception):
    """A measurement that cannot be trusted, and why."""


def run(*command, inside=None, check=True, input=None):
    """Runs a command to its end (in a namespace) and returns what it wrote to standard output."""
    done = subprocess.run(within(inside, command), capture_output=True, text=True, input=input, check=False)
    if check and done.returncode != 0:
        raise BenchError(f"{' '.join(map(str, command))}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def within(namespace, command):
    # Not `ip netns exec`: that mounts another /sys, and a program under test would see a different machine.
    prefix = ["nsenter", f"--net=/run/netns/{namespace}", "--"] if namespace else []
    return prefix + [str(word) for word in command]


def start(*command, inside, **options):
    return subprocess.Popen(within(inside, command), stdin=subprocess.DEVNULL, **options)


def stop(process):
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(condition, what, seconds=10.0):
    """Waits until condition() is true and returns what it returned."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise BenchError(f"{what}: not within {seconds:g} s")
        time.sleep(0.01)
    return result


def forwarded_packets():
    """What the gateway's kernel has passed on by itself."""
    names, values = [line.split() for line in run("cat", "/proc/net/snmp", inside=GATEWAY).splitlines()
                     if line.startswith("Ip:")]
    return int(values[names.index("ForwDatagrams")])


class Lab:
    """Made on entry, gone on exit. `masquerade`: the gateway hides the client, so conntrack is in use there."""

    def __init__(self, masquerade):
        self.masquerade = masquerade
        self.allowed = ALLOWED.read_text().strip()

    def __enter__(self):
        remove_namespaces()
        if "cubic" not in self.allowed.split():
            ALLOWED.write_text(f"{self.allowed} cubic")
        for namespace in (CLIENT, GATEWAY, SERVER):
            run("ip", "netns", "add", namespace)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
            run("sysctl", "-qw", "net.ipv4.tcp_congestion_control=cubic", "net.ipv4.ip_local_port_range=1024 65535",
                "net.core.somaxconn=8192", "net.ipv4.tcp_max_syn_backlog=8192", inside=namespace)
        cable((CLIENT, "eth0", "198.51.100.7/24"), (GATEWAY, "lan0", "198.51.100.1/24"))
        cable((SERVER, "eth0", f"{SERVER_ADDRESS}/24"), (GATEWAY, "wan0", "203.0.113.1/24"))
        run("ip", "-n", CLIENT, "route", "add", "default", "via", "198.51.100.1")
        if not self.masquerade:  # behind masquerade no packet with the client's address may arrive: it gets no answer
            run("ip", "-n", SERVER, "route", "add", "default", "via", "203.0.113.1")
        for namespace, behind, network in ((CLIENT, "198.51.100.7", "198.18.0.0/16"),
                                           (SERVER, SERVER_ADDRESS, "198.19.0.0/16")):
            run("ip", "-n", namespace, "route", "add", "local", network, "dev", "lo")
            run("ip", "-n", GATEWAY, "route", "add", network, "via", behind)
        run("sysctl", "-qw", "net.ipv4.ip_forward=1", inside=GATEWAY)
        if self.masquerade:
            run("nft", "-f", "-", inside=GATEWAY, input="""table ip uplink {
                chain postrouting {
                    type nat hook postrouting priority srcnat
                    oifname "wan0" masquerade
                }
            }""")
        wait_for(lambda: all("state UP" in run("ip", "-n", GATEWAY, "link", "show", name) for name in ("lan0", "wan0")),
                 "links up")
        return self

    def __exit__(self, *_):
        remove_namespaces()
        if "cubic" not in self.allowed.split():
            ALLOWED.write_text(self.allowed)

    def sweep(self):
        """Destroys what a contender's connections left: on the gateway, while a socket is there, the kernel's early demux gives
        it the packets of a client that uses its port again, and nobody forwards them. At the ends, what is still closing
        would be the next contender's traffic."""
        for namespace in (CLIENT, SERVER, GATEWAY):
            run("ss", "-K", "-t", "state", "connected", inside=namespace)
            run("ss", "-K", "-t", "state", "time-wait", inside=namespace)
        wait_for(lambda: not run("ss", "-Htan", inside=GATEWAY).strip(), "the gateway's sockets gone")
        if self.masquerade:
            run("conntrack", "-F", inside=GATEWAY)

    def check_conntrack(self):
        """The gateway tracks connections behind masquerade and only there, whoever runs on it."""
        count = int(run("cat", "/proc/sys/net/netfilter/nf_conntrack_count", inside=GATEWAY))
        if self.masquerade != (count > 0):
            raise BenchError(f"the gateway's conntrack holds {count} entries")


def cable(one, other):
    (one_in, one_name, one_address), (other_in, other_name, other_address) = one, other
    run("ip", "link", "add", one_name, "netns", one_in, "type", "veth", "peer", "name", other_name, "netns", other_in)
    for namespace, name, address in (one, other):
        run("ip", "-n", namespace, "address", "add", address, "dev", name)
        run("ip", "-n", namespace, "link", "set", name, "up")


def remove_namespaces():
    for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else ():
        if name.startswith(PREFIX):
            run("ip", "netns", "delete", name)
