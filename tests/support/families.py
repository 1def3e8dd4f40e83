# SPDX-License-Identifier: MIT
# The lab's addresses, one object a family, so that a test is written once and run for both.
import dataclasses
import socket


@dataclasses.dataclass(frozen=True)
class Family:
    name: str  # also the test's id
    version: int  # as in `ip -4`, `ip -6`
    af: int
    client: str
    second_client: str  # an address, with prefix length, that a test may give the client too
    gateway_lan: str
    gateway_wan: str
    server: str
    server_alias: str  # a second address of the server
    other_server: str  # behind wan1: Lab.add_other_server()
    unused: str  # in the server's network, nobody has it
    lan: str  # the client's prefix
    loopback: str
    documentation: str  # a prefix reserved for examples: free for routes that lead nowhere
    many: str  # a prefix of which the server has every address: Lab.add_many_destinations()

    def text(self, address, port):
        """An endpoint as Limpid writes it."""
        return f"{address}:{port}" if self.version == 4 else f"[{address}]:{port}"


IPV4 = Family(
    name="ipv4",
    version=4,
    af=socket.AF_INET,
    client="10.1.0.2",
    second_client="10.1.0.7/24",
    gateway_lan="10.1.0.1",
    gateway_wan="10.2.0.1",
    server="10.2.0.2",
    server_alias="10.2.0.3",
    other_server="10.3.0.2",
    unused="10.2.0.99",
    lan="10.1.0.0/24",
    loopback="127.0.0.1",
    documentation="198.51.100.0/24",
    many="198.18.0.0/16",
)
IPV6 = Family(
    name="ipv6",
    version=6,
    af=socket.AF_INET6,
    client="fd00:1::2",
    second_client="fd00:1::7/64",
    gateway_lan="fd00:1::1",
    gateway_wan="fd00:2::1",
    server="fd00:2::2",
    server_alias="fd00:2::3",
    other_server="fd00:3::2",
    unused="fd00:2::99",
    lan="fd00:1::/64",
    loopback="::1",
    documentation="2001:db8:51::/64",
    many="fd00:18::/64",
)
FAMILIES = (IPV4, IPV6)
