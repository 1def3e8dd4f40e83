# SPDX-License-Identifier: MIT
# TPROXY rules of the user's own, as people write them for a proxy that does not set the kernel up by itself.


def lead_to(lab, port, taken=8080, protocol="tcp", interface="lan0"):
    """Connections (or datagrams: "udp") from lan0, or what is there in its place, to port `taken` go to the transparent
    socket on `port` of any address."""
    _deliver_what_is_marked(lab)
    lab.gateway.nft(
        f"""table inet users {{
    chain prerouting {{
        type filter hook prerouting priority mangle;
        iifname "{interface}" meta nfproto ipv4 {protocol} dport {taken} tproxy ip to :{port} meta mark set 0x1 accept
        iifname "{interface}" meta nfproto ipv6 {protocol} dport {taken} tproxy ip6 to :{port} meta mark set 0x1 accept
    }}
}}"""
    )


def bring_back(lab):
    """What comes in for a transparent socket of the gateway's is delivered to it, whatever its address."""
    _deliver_what_is_marked(lab)
    lab.gateway.nft(
        """table inet users {
    chain prerouting {
        type filter hook prerouting priority mangle;
        socket transparent 1 meta mark set 0x1 accept
    }
}"""
    )


def _deliver_what_is_marked(lab):
    lab.gateway.ip("rule add fwmark 1 priority 1000 lookup 100\nroute add local default dev lo table 100")
    lab.gateway.ip("-6 rule add fwmark 1 priority 1000 lookup 100")
    lab.gateway.ip("-6 route add local default dev lo table 100")
