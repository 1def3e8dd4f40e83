# SPDX-License-Identifier: MIT
# Firewalls and NAT as gateways have them.

# The rule in the input chain is the one that `limpid status` asks for where it is missing.
FIREWALL = """table inet firewall {{
    chain input {{ type filter hook input priority 0; policy drop;
        ct state invalid drop;
        ct state established,related accept;
        iifname lo accept;
        meta l4proto {{ icmp, ipv6-icmp }} accept;
        {accept_ours}
    }};
    chain forward {{ type filter hook forward priority 0; policy drop;
        ct state invalid drop;
        ct state established,related accept;
        iifname lan0 oifname wan0 accept;
    }};
    chain output {{ type filter hook output priority 0; ct state invalid drop; }};
}}"""
ACCEPT_OURS = "meta mark & 0x10000000 == 0x10000000 accept;"
MASQUERADE = """table inet nat { chain postrouting { type nat hook postrouting priority srcnat;
    oifname wan0 masquerade; }; }"""


def use(lab, kind):
    if kind in ("invalid_drop", "both"):
        lab.gateway.nft(FIREWALL.format(accept_ours=ACCEPT_OURS))
    if kind in ("masquerade", "both"):
        lab.gateway.nft(MASQUERADE)


def source_seen(family, kind):
    """The client's address as the server sees it."""
    return family.gateway_wan if kind in ("masquerade", "both") else family.client
