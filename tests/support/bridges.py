# SPDX-License-Identifier: MIT
# A bridge on the gateway, as Docker and Kubernetes have them: its frames are shown to iptables.


def put_client_behind_a_bridge(lab):
    lab.gateway.sysctl("bridge.bridge-nf-call-iptables", 1)
    lab.gateway.sysctl("bridge.bridge-nf-call-ip6tables", 1)
    lab.gateway.ip(
        """link add br0 type bridge forward_delay 0
        link set lan0 master br0
        address del 10.1.0.1/24 dev lan0
        address del fd00:1::1/64 dev lan0
        address add 10.1.0.1/24 dev br0
        address add fd00:1::1/64 dev br0 nodad
        link set br0 up"""
    )


def put_client_back(lab):
    lab.gateway.ip(
        """link del br0
        address add 10.1.0.1/24 dev lan0
        address add fd00:1::1/64 dev lan0 nodad"""
    )
    lab.gateway.sysctl("bridge.bridge-nf-call-iptables", 0)
    lab.gateway.sysctl("bridge.bridge-nf-call-ip6tables", 0)


def bridge_forwards(lab):
    return "state forwarding" in lab.gateway.run("bridge", "link", "show", "dev", "lan0").stdout
