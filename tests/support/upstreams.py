# SPDX-License-Identifier: MIT
# Upstream proxies as people run them: SOCKS5, HTTP CONNECT, and servers that are told of the client (PROXY protocol).
# Each is a context manager that yields the process, and listens on both families.
from .families import FAMILIES
from .servers import serving
from .web import nginx

SOCKS, CONNECT, TOLD = 1080, 3128, 8088  # their ports, unless a test says otherwise


def microsocks(namespace, directory, port=SOCKS, username=None, password=None, hosts=None):
    """SOCKS5, TCP alone. It ends a connection as soon as one end finishes: for half-closed ones there is danted."""
    words = ["-u", username, "-P", password] if username else []
    return serving(namespace, directory, ["microsocks", "-i", "::", "-p", port, *words], [port], hosts)


def danted(namespace, directory, port=SOCKS):
    """SOCKS5 with UDP ASSOCIATE, without a password, on the addresses of Lab.add_other_server()."""
    config = directory / f"danted-{port}.conf"
    internal = "".join(f"internal: {family.other_server} port = {port}\n" for family in FAMILIES)
    config.write_text(
        f"""logoutput: stderr
internal.protocol: ipv4 ipv6
{internal}external.protocol: ipv4 ipv6
external: eth0
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: root
client pass {{ from: 0/0 to: 0/0 }}
socks pass {{ from: 0/0 to: 0/0 command: connect udpassociate }}
socks pass {{ from: 0/0 to: 0/0 command: bindreply udpreply }}
"""
    )
    return serving(namespace, directory, ["danted", "-f", config, "-p", directory / f"danted-{port}.pid"], [port])


def tinyproxy(namespace, directory, port=CONNECT, username=None, password=None, hosts=None):
    """HTTP CONNECT. It, too, ends a connection as soon as one end finishes."""
    config = directory / f"tinyproxy-{port}.conf"
    config.write_text(
        f"""Port {port}
Listen 0.0.0.0
Listen ::
Timeout 600
MaxClients 500
{f"BasicAuth {username} {password}" if username else ""}
"""
    )
    return serving(namespace, directory, ["tinyproxy", "-d", "-c", config], [port], hosts)


# Both answer each HTTP request with what the PROXY header has told them, as told() has it.


def nginx_that_is_told(namespace, directory, port=TOLD):
    told = "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port"
    return nginx(
        namespace,
        directory,
        f"""server {{
    listen 0.0.0.0:{port} proxy_protocol;
    listen [::]:{port} proxy_protocol;
    location / {{ return 200 "{told}\\n"; }}
}}""",
        [port],
    )


def haproxy_that_is_told(namespace, directory, port=TOLD):
    config = directory / f"haproxy-{port}.cfg"
    config.write_text(
        f"""defaults
    mode http
    timeout client 30s
    timeout connect 5s
    timeout server 30s
frontend told
    bind 0.0.0.0:{port} accept-proxy
    bind [::]:{port} accept-proxy v6only
    http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst] %[dst_port]\\n"
"""
    )
    return serving(namespace, directory, ["haproxy", "-db", "-f", config], [port])


def told(client, destination):
    """What they answer when they have been told of this client and this destination, (address, port) each."""
    return "{} {} {} {}\n".format(*client, *destination)
