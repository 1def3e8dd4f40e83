// SPDX-License-Identifier: MIT
// The text to the letter for two plans, and what must hold for all of them. Whether nft takes it: installation_test.cc;
// what it does to packets: traffic_test.cc.
#include "intercept/ruleset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "intercept/example_plan.h"
#include "intercept/guard.h"

namespace limpid {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr Conditions everything{.taking = true, .zones = true, .early = true, .cookies = true, .filters = true};

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t number = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++number;
  return number;
}

TEST(Ruleset, OfTheExampleIsThisToTheLetter) {
  EXPECT_EQ(describe(example_plan(), {.taking = true}), R"END(# Routes and fib rules, for ip(8).
ip -4 route add local default dev lo table 5300 proto 153
ip -6 route add local default dev lo table 5300 proto 153
ip -4 rule add priority 101 iif lo fwmark 0x20000000/0x20000000 lookup 5300 protocol 153
ip -4 rule add priority 100 fwmark 0x10000000/0x10000000 lookup 5300 protocol 153
ip -4 rule add priority 99 iif lo fwmark 0x10000000/0x10000000 goto 101 protocol 153
ip -6 rule add priority 101 iif lo fwmark 0x20000000/0x20000000 lookup 5300 protocol 153
ip -6 rule add priority 100 fwmark 0x10000000/0x10000000 lookup 5300 protocol 153
ip -6 rule add priority 99 iif lo fwmark 0x10000000/0x10000000 goto 101 protocol 153

# For nft(8). "flags owner": the table vanishes with the program that loads it, be it limpid or nft itself.
table inet limpid {
	flags owner;
	set clients { type ifname; flags interval; auto-merge; elements = { "lan0", "veth*" }; }
	set not_routed { type fib_addrtype; elements = { local, broadcast, multicast, anycast }; }
	set bypass4 { type ipv4_addr; flags interval; auto-merge; elements = { 10.0.0.0/8 }; }
	set bypass_from4 { type ipv4_addr; flags interval; auto-merge; elements = { 192.0.2.7/32 }; }
	set bypass6 { type ipv6_addr; flags interval; auto-merge; elements = { 2001:db8:1::/48 }; }
	set bypass_from6 { type ipv6_addr; flags interval; auto-merge; elements = { 2001:db8::7/128 }; }
	set tcp_ports { type inet_service; flags interval; auto-merge; elements = { 80, 8000-8999 }; }
	set take_tcp { type inet_service; flags interval; auto-merge; elements = { 80, 8000-8999 }; }
	set take_udp { type inet_service; elements = { 53, 443 }; }
	set answers4 { typeof ip saddr . udp sport . ip daddr . udp dport; size 262144; flags dynamic,timeout; timeout 30s; }
	set direct4 { typeof ip saddr . udp sport . ip daddr . udp dport; size 131072; counter; }
	set answers6 { typeof ip6 saddr . udp sport . ip6 daddr . udp dport; size 262144; flags dynamic,timeout; timeout 30s; }
	set direct6 { typeof ip6 saddr . udp sport . ip6 daddr . udp dport; size 131072; counter; }
	chain udp_from_here {
		meta nfproto ipv4 meta l4proto udp ip frag-off & 0x4000 == 0x4000 tproxy ip to 127.0.0.1:40006 accept
		meta nfproto ipv4 meta l4proto udp tproxy ip to 127.0.0.1:40005 accept
		meta nfproto ipv6 meta l4proto udp tproxy ip6 to [::1]:40010 accept
	}
	chain udp_answer {
		# No hop left: for the kernel to tell its sender.
		ip ttl < 2 return
		ip6 hoplimit < 2 return
		meta nfproto ipv4 meta l4proto udp ip frag-off & 0x4000 == 0x4000 tproxy ip to 127.0.0.1:40008 meta mark set meta mark & 0xefffffff | 0x10000000 accept
		meta nfproto ipv4 meta l4proto udp tproxy ip to 127.0.0.1:40007 meta mark set meta mark & 0xefffffff | 0x10000000 accept
		meta nfproto ipv6 meta l4proto udp tproxy ip6 to [::1]:40011 meta mark set meta mark & 0xefffffff | 0x10000000 accept
	}
	chain udp_from_clients {
		# What a destination on the clients' side sends.
		ip saddr . udp sport . ip daddr . udp dport @answers4 goto udp_answer
		ip6 saddr . udp sport . ip6 daddr . udp dport @answers6 goto udp_answer
		udp dport != @take_udp return
		# No hop left: for the kernel to tell its sender.
		ip ttl < 2 return
		ip6 hoplimit < 2 return
		# Nobody forwards it.
		ip6 saddr fe80::/10 return
		fib daddr type @not_routed return
		ip daddr @bypass4 return
		ip saddr @bypass_from4 return
		ip6 daddr @bypass6 return
		ip6 saddr @bypass_from6 return
		update @answers4 { ip daddr . udp dport . ip saddr . udp sport }
		update @answers6 { ip6 daddr . udp dport . ip6 saddr . udp sport }
		meta nfproto ipv4 meta l4proto udp ip frag-off & 0x4000 == 0x4000 tproxy ip to 127.0.0.1:40004 meta mark set meta mark & 0xefffffff | 0x10000000 accept
		meta nfproto ipv4 meta l4proto udp tproxy ip to 127.0.0.1:40003 meta mark set meta mark & 0xefffffff | 0x10000000 accept
		meta nfproto ipv6 meta l4proto udp tproxy ip6 to [::1]:40009 meta mark set meta mark & 0xefffffff | 0x10000000 accept
	}
	chain udp_answers {
		ip saddr . udp sport . ip daddr . udp dport @answers4 goto udp_answer
		ip6 saddr . udp sport . ip6 daddr . udp dport @answers6 goto udp_answer
	}
	chain syn {
		tcp dport != @take_tcp return
		fib daddr type @not_routed return
		ip daddr @bypass4 return
		ip saddr @bypass_from4 return
		ip6 daddr @bypass6 return
		ip6 saddr @bypass_from6 return
		meta nfproto ipv4 meta l4proto tcp tproxy ip to 127.0.0.1:40001 meta mark set meta mark & 0xefffffff | 0x10000000 accept
		meta nfproto ipv6 meta l4proto tcp tproxy ip6 to [::1]:40002 meta mark set meta mark & 0xefffffff | 0x10000000 accept
	}
	chain from_here {
		meta l4proto udp goto udp_from_here
		meta nfproto ipv4 meta l4proto tcp tproxy ip to 127.0.0.1:40001 accept
		meta nfproto ipv6 meta l4proto tcp tproxy ip6 to [::1]:40002 accept
	}
	chain divert {
		meta mark set meta mark & 0xefffffff | 0x10000000 accept
	}
	chain divert_unmarked {
		# One that could have it is somebody else's.
		socket mark & 0x40000000 != 0x40000000 return
		meta mark set meta mark & 0xefffffff | 0x10000000 accept
	}
	chain sockets {
		socket mark & 0x50000000 vmap { 0x50000000 : goto divert, 0x40000000 : goto divert }
		# Handshakes and TIME_WAIT of ours: "socket mark" does not see them.
		tcp dport @tcp_ports goto divert_unmarked
		tcp sport @tcp_ports goto divert_unmarked
	}
	chain connections {
		iif "lo" meta mark & 0x20000000 == 0x20000000 goto from_here
		# First: divert would answer a SYN from a TIME_WAIT socket with an ACK, and the client would stall; tproxy knows.
		iifname @clients tcp flags & (syn | ack) == syn goto syn
		# What is let go has none: one look-up tells.
		socket transparent 1 goto sockets
	}
	chain clients {
		type filter hook prerouting priority raw; policy accept;
		meta l4proto tcp goto connections
		ip saddr . udp sport . ip daddr . udp dport @direct4 accept
		ip6 saddr . udp sport . ip6 daddr . udp dport @direct6 accept
		iif "lo" meta mark & 0x20000000 == 0x20000000 goto from_here
		meta l4proto udp iifname @clients goto udp_from_clients
		meta l4proto udp goto udp_answers
		meta l4proto { icmp, ipv6-icmp } goto connections
	}
}
)END");
}

TEST(Ruleset, WithEverythingForOneFamilyIsThisToTheLetter) {
  Plan plan = example_plan();
  plan.settings.local = true;
  plan.settings.without_us = WithoutUs::closed;
  plan.ports.ipv4 = 0;
  plan.cgroup = Cgroup{"system.slice/limpid.service", 2};
  EXPECT_EQ(describe(plan, {.taking = false, .zones = true, .early = true, .cookies = true}),
            R"END(# Routes and fib rules, for ip(8).
ip -6 route add local default dev lo table 5300 proto 153
ip -6 rule add priority 101 iif lo fwmark 0x20000000/0x20000000 lookup 5300 protocol 153
ip -6 rule add priority 100 fwmark 0x10000000/0x10000000 lookup 5300 protocol 153
ip -6 rule add priority 99 iif lo fwmark 0x10000000/0x10000000 goto 101 protocol 153

# For nft(8). This table stays when limpid goes, until "limpid withdraw".
table inet limpid_guard {
	set clients { type ifname; flags interval; auto-merge; elements = { "lan0", "veth*" }; }
	set not_routed { type fib_addrtype; elements = { local, broadcast, multicast, anycast }; }
	set bypass6 { type ipv6_addr; flags interval; auto-merge; elements = { 2001:db8:1::/48 }; }
	set bypass_from6 { type ipv6_addr; flags interval; auto-merge; elements = { 2001:db8::7/128 }; }
	set tcp_ports { type inet_service; flags interval; auto-merge; elements = { 80, 8000-8999 }; }
	set udp_ports { type inet_service; elements = { 53, 443 }; }
	chain refuse {
		tcp dport != @tcp_ports return
		fib daddr type @not_routed return
		ip6 daddr @bypass6 return
		ip6 saddr @bypass_from6 return
		meta nfproto ipv6 reject with tcp reset
	}
	chain refuse_udp {
		udp dport != @udp_ports return
		fib daddr type @not_routed return
		ip6 daddr @bypass6 return
		ip6 saddr @bypass_from6 return
		reject
	}
	chain clients {
		type filter hook prerouting priority -145; policy accept;
		meta mark & 0x10000000 == 0x10000000 return
		meta mark & 0x20000000 == 0x20000000 return
		meta mark & 0x40000000 == 0x40000000 return
		iifname @clients tcp flags & (syn | ack) == syn goto refuse
		iifname @clients meta l4proto udp goto refuse_udp
	}
	chain local {
		type filter hook output priority -145; policy accept;
		meta mark & 0x40000000 == 0x40000000 accept
		meta mark & 0x20000000 == 0x20000000 accept
		meta skuid 64999 accept
		socket cgroupv2 level 2 "system.slice/limpid.service" accept
		tcp flags & (syn | ack) == syn goto refuse
		meta l4proto udp goto refuse_udp
	}
}

# For nft(8). "flags owner": the table vanishes with the program that loads it, be it limpid or nft itself.
table inet limpid {
	flags owner;
	set clients { type ifname; flags interval; auto-merge; elements = { "lan0", "veth*" }; }
	set not_routed { type fib_addrtype; elements = { local, broadcast, multicast, anycast }; }
	set bypass6 { type ipv6_addr; flags interval; auto-merge; elements = { 2001:db8:1::/48 }; }
	set bypass_from6 { type ipv6_addr; flags interval; auto-merge; elements = { 2001:db8::7/128 }; }
	set tcp_ports { type inet_service; flags interval; auto-merge; elements = { 80, 8000-8999 }; }
	set take_tcp { type inet_service; flags interval; auto-merge; }
	set handshakes6 { typeof ip6 saddr . tcp sport . ip6 daddr . tcp dport; size 262144; flags dynamic,timeout; timeout 10s; }
	set take_udp { type inet_service; }
	set answers6 { typeof ip6 saddr . udp sport . ip6 daddr . udp dport; size 262144; flags dynamic,timeout; timeout 30s; }
	set direct6 { typeof ip6 saddr . udp sport . ip6 daddr . udp dport; size 131072; counter; }
	set taken6 { typeof ip6 saddr . tcp sport . ip6 daddr . tcp dport; size 262144; flags dynamic,timeout; timeout 1d; }
	set closing6 { typeof ip6 saddr . tcp sport . ip6 daddr . tcp dport; size 262144; flags dynamic,timeout; timeout 10m; }
	chain udp_from_here {
		meta nfproto ipv6 meta l4proto udp tproxy ip6 to [::1]:40010 accept
	}
	chain udp_answer {
		# No hop left: for the kernel to tell its sender.
		ip ttl < 2 return
		ip6 hoplimit < 2 return
		meta nfproto ipv6 meta l4proto udp tproxy ip6 to [::1]:40011 meta mark set meta mark & 0xefffffff | 0x10000000 accept
	}
	chain udp_from_clients {
		ip6 saddr . udp sport . ip6 daddr . udp dport @direct6 meta mark set meta mark & 0xbfffffff | 0x40000000 accept
		# What a destination on the clients' side sends.
		ip6 saddr . udp sport . ip6 daddr . udp dport @answers6 return
		# So early, fragments are not together yet.
		ip frag-off & 0x3fff != 0x0 return
		exthdr frag exists return
		# Up from the bridge they are, but nothing tells any more that they may be fragmented again.
		meta nfproto ipv6 meta length > 1500 return
		udp dport != @take_udp return
		# No hop left: for the kernel to tell its sender.
		ip ttl < 2 return
		ip6 hoplimit < 2 return
		# Nobody forwards it.
		ip6 saddr fe80::/10 return
		fib daddr type @not_routed return
		ip6 daddr @bypass6 return
		ip6 saddr @bypass_from6 return
		update @answers6 { ip6 daddr . udp dport . ip6 saddr . udp sport }
		meta nfproto ipv6 meta l4proto udp tproxy ip6 to [::1]:40009 ct zone set 5300 meta mark set meta mark & 0xefffffff | 0x10000000 accept
	}
	chain udp_answers {
		type filter hook prerouting priority dstnat + 5; policy accept;
		meta l4proto != udp return
		# Taken, or counted, in the chain "clients".
		meta mark & 0x40000000 == 0x40000000 return
		meta mark & 0x10000000 == 0x10000000 return
		ip6 saddr . udp sport . ip6 daddr . udp dport @direct6 meta mark set meta mark & 0xbfffffff | 0x40000000 accept
		ip6 saddr . udp sport . ip6 daddr . udp dport @answers6 goto udp_answer
	}
	chain syn {
		tcp dport != @take_tcp return
		fib daddr type @not_routed return
		ip6 daddr @bypass6 return
		ip6 saddr @bypass_from6 return
		update @handshakes6 { ip6 saddr . tcp sport . ip6 daddr . tcp dport }
		meta nfproto ipv6 meta l4proto tcp tproxy ip6 to [::1]:40002 ct zone set 5300 meta mark set meta mark & 0xefffffff | 0x10000000 accept
	}
	chain from_here {
		meta l4proto udp goto udp_from_here
		meta nfproto ipv6 meta l4proto tcp tproxy ip6 to [::1]:40002 accept
	}
	chain divert {
		ct zone set 5300 meta mark set meta mark & 0xefffffff | 0x10000000 accept
	}
	chain divert_unmarked {
		# One that could have it is somebody else's.
		socket mark & 0x40000000 != 0x40000000 return
		ct zone set 5300 meta mark set meta mark & 0xefffffff | 0x10000000 accept
	}
	chain sockets {
		socket mark & 0x50000000 vmap { 0x50000000 : goto divert, 0x40000000 : accept }
		# Handshakes and TIME_WAIT of ours: "socket mark" does not see them.
		tcp dport @tcp_ports goto divert_unmarked
	}
	chain from_clients {
		# What is let go has none: one look-up tells.
		socket transparent 1 jump sockets
		socket wildcard 0 socket mark & 0x40000000 != 0x40000000 return
		# SYN cookies: a handshake's last ACK has no socket yet, but we have seen its SYN.
		tcp flags & (syn | rst | fin | ack) == ack ip6 saddr . tcp sport . ip6 daddr . tcp dport @handshakes6 meta nfproto ipv6 meta l4proto tcp tproxy ip6 to [::1]:40002 ct zone set 5300 meta mark set meta mark & 0xefffffff | 0x10000000 accept
	}
	chain servers_unmarked {
		# One that could have it is somebody else's.
		socket mark & 0x40000000 != 0x40000000 return
		meta mark set meta mark & 0xefffffff | 0x10000000 accept
	}
	chain server_sockets {
		# Divert: sessions of ours, and ICMP errors about them.
		socket mark & 0x50000000 == 0x40000000 meta mark set meta mark & 0xefffffff | 0x10000000 accept
		# TIME_WAIT of ours: "socket mark" does not see it.
		tcp sport @tcp_ports goto servers_unmarked
	}
	chain servers {
		type filter hook prerouting priority mangle; policy accept;
		meta l4proto udp return
		meta mark & 0x10000000 == 0x10000000 return
		meta l4proto != { tcp, icmp, ipv6-icmp } return
		socket transparent 1 goto server_sockets
	}
	chain servers_after_nat {
		type filter hook prerouting priority dstnat + 5; policy accept;
		meta nfproto != ipv6 return
		meta mark & 0x10000000 == 0x10000000 return
		meta l4proto != { tcp, icmp, ipv6-icmp } return
		socket transparent 1 goto server_sockets
	}
	chain connections {
		iif "lo" meta mark & 0x20000000 == 0x20000000 goto from_here
		# First: divert would answer a SYN from a TIME_WAIT socket with an ACK, and the client would stall; tproxy knows.
		iifname @clients tcp flags & (syn | ack) == syn goto syn
		iifname @clients goto from_clients
	}
	chain clients {
		type filter hook prerouting priority -2147483648; policy accept;
		meta l4proto tcp goto connections
		iif "lo" meta mark & 0x20000000 == 0x20000000 goto from_here
		meta l4proto udp iifname @clients goto udp_from_clients
		meta l4proto { icmp, ipv6-icmp } goto connections
	}
	chain to_clients {
		type filter hook output priority raw; policy accept;
		meta mark & 0x50000000 == 0x50000000 fib daddr type != local ct zone set 5300
	}
	chain steer {
		meta mark set meta mark & 0xdfffffff | 0x20000000 accept
	}
	chain ours {
		tcp flags & rst == rst delete @taken6 { ip6 daddr . tcp dport . ip6 saddr . tcp sport }
	}
	chain local_taken6 {
		tcp flags & (fin | rst) == 0x0 update @taken6 { ip6 saddr . tcp sport . ip6 daddr . tcp dport } goto steer
		delete @taken6 { ip6 saddr . tcp sport . ip6 daddr . tcp dport }
		tcp flags & rst == 0x0 update @closing6 { ip6 saddr . tcp sport . ip6 daddr . tcp dport }
		goto steer
	}
	chain local_syn {
		# Whatever this address and port pair was before, it is a new connection now.
		delete @taken6 { ip6 saddr . tcp sport . ip6 daddr . tcp dport }
		delete @closing6 { ip6 saddr . tcp sport . ip6 daddr . tcp dport }
		tcp dport != @take_tcp return
		fib daddr type @not_routed return
		ip6 daddr @bypass6 return
		ip6 saddr @bypass_from6 return
		update @taken6 { ip6 saddr . tcp sport . ip6 daddr . tcp dport } goto steer
	}
	chain local_udp {
		meta mark & 0x40000000 == 0x40000000 accept
		meta mark & 0x20000000 == 0x20000000 accept
		meta skuid 64999 accept
		socket cgroupv2 level 2 "system.slice/limpid.service" accept
		ip6 saddr . udp sport . ip6 daddr . udp dport @direct6 meta mark set meta mark & 0xbfffffff | 0x40000000 accept
		udp dport != @take_udp return
		# No hop left: for the kernel to tell its sender.
		ip ttl < 2 return
		ip6 hoplimit < 2 return
		# Nobody forwards it.
		ip6 saddr fe80::/10 return
		fib daddr type @not_routed return
		ip6 daddr @bypass6 return
		ip6 saddr @bypass_from6 return
		goto steer
	}
	chain local {
		type route hook output priority mangle; policy accept;
		meta l4proto udp goto local_udp
		meta l4proto != tcp accept
		meta mark & 0x40000000 == 0x40000000 goto ours
		meta mark & 0x20000000 == 0x20000000 accept
		meta skuid 64999 accept
		socket cgroupv2 level 2 "system.slice/limpid.service" accept
		tcp flags & (syn | ack) == syn goto local_syn
		# Only connections that were taken: those from before, accepted ones and the kernel's resets go their way.
		ip6 saddr . tcp sport . ip6 daddr . tcp dport @taken6 goto local_taken6
		ip6 saddr . tcp sport . ip6 daddr . tcp dport @closing6 update @closing6 { ip6 saddr . tcp sport . ip6 daddr . tcp dport } goto steer
	}
}
)END");
}

TEST(Ruleset, EmptiesThePortSetWhenItStopsTakingAndTouchesNothingElse) {
  const Plan plan = example_plan();
  EXPECT_EQ(transition({plan, {.taking = true}}, {plan, {.taking = false}}),
            "flush set inet limpid take_tcp\nflush set inet limpid take_udp\nflush set inet limpid answers4\n"
            "flush set inet limpid answers6\n");
  EXPECT_EQ(transition({plan, {.taking = false}}, {plan, {.taking = true}}),
            "flush set inet limpid take_tcp\nadd element inet limpid take_tcp { 80, 8000-8999 }\n"
            "flush set inet limpid take_udp\nadd element inet limpid take_udp { 53, 443 }\n");
}

TEST(Ruleset, KeepsTheLearntSetsInEveryTransition) {
  Plan plan = example_plan();
  plan.settings.local = true;
  const std::string text = transition({plan, {.taking = true, .zones = true}}, {plan, everything});
  EXPECT_THAT(text, StartsWith("flush table inet limpid\ndelete chain "));
  EXPECT_THAT(text, Not(HasSubstr("delete set")));
  EXPECT_THAT(text, Not(HasSubstr("set taken4")));
  EXPECT_THAT(text, HasSubstr("set handshakes4"));
  EXPECT_THAT(transition({plan, everything}, {plan, {}}), HasSubstr("delete set inet limpid handshakes6"));
}

TEST(Ruleset, AsksConntrackOnlyWithZones) {
  Plan plan = example_plan();
  plan.settings.local = true;
  EXPECT_THAT(ruleset(plan, {.taking = true, .zones = false, .early = true, .cookies = true}), Not(HasSubstr("ct ")));
  EXPECT_THAT(ruleset(plan, everything), HasSubstr("ct zone set"));
}

TEST(Ruleset, KeepsForeignBitsWhereverItSetsAMark) {
  Plan plan = example_plan();
  plan.settings.local = true;
  const std::string text = ruleset(plan, everything);
  EXPECT_EQ(count(text, "mark set "), count(text, "mark set meta mark & 0xefffffff | 0x10000000") +
                                          count(text, "mark set meta mark & 0xdfffffff | 0x20000000") +
                                          count(text, "mark set meta mark & 0xbfffffff | 0x40000000"));
}

TEST(Ruleset, HasOneRuleForHoweverManyPortsAndPrefixes) {
  Plan plan = example_plan();
  const std::size_t lines = count(ruleset(plan, everything), "\n");
  plan.settings.tcp.resize(100, {1, 2});
  plan.settings.bypass.resize(1000, *Prefix::parse("10.0.0.0/8"));
  plan.settings.interfaces.resize(50, "x");
  EXPECT_EQ(count(ruleset(plan, everything), "\n"), lines);
}

TEST(Ruleset, LeavesEmptyBypassListsOut) {
  Plan plan = example_plan();
  plan.settings.bypass = plan.settings.bypass_from = {};
  EXPECT_THAT(ruleset(plan, everything) + guard(plan), Not(HasSubstr("bypass")));
}

TEST(Ruleset, HasNothingOfUdpWhereNoneIsTaken) {
  Plan plan = example_plan();
  plan.settings.udp = {};
  plan.settings.local = true;
  EXPECT_THAT(ruleset(plan, everything) + guard(plan), Not(HasSubstr("udp")));
  EXPECT_THAT(transition({plan, {.taking = true}}, {plan, {.taking = false}}), Not(HasSubstr("udp")));
}

TEST(Ruleset, LeavesNoFlowToTheKernelWithoutHandover) {
  Plan plan = example_plan();
  plan.handover = false;
  EXPECT_THAT(ruleset(plan, everything), Not(HasSubstr("direct")));
}

TEST(Ruleset, MarksWhatTheKernelForwardsByItselfWhereSomebodyLooks) {
  Plan plan = example_plan();
  const auto is_marked = HasSubstr("@direct4 meta mark set meta mark & 0xbfffffff | 0x40000000 accept");
  EXPECT_THAT(ruleset(plan, {}), HasSubstr("@direct4 accept"));
  EXPECT_THAT(ruleset(plan, {.filters = true}), is_marked);
  EXPECT_THAT(ruleset(plan, {.zones = true}), is_marked);
  EXPECT_THAT(ruleset(plan, {.early = true}), is_marked);
  plan.settings.without_us = WithoutUs::closed;
  EXPECT_THAT(ruleset(plan, {}), is_marked);
  EXPECT_THAT(guard(plan), HasSubstr("meta mark & 0x40000000 == 0x40000000 return"));
}

TEST(Ruleset, LooksForALocalDestinationLastWhereTheRulesOnlyLetFlowsGo) {
  Plan plan = example_plan();
  const auto local_after_rules = [&] {
    const std::string text = ruleset(plan, {});
    const std::size_t syn = text.find("chain syn");
    return text.find("jump tcp_rules", syn) < text.find("fib daddr type", syn);
  };
  plan.rules.tcp = {{{}, {}, {}, Verdict::pass}};
  EXPECT_TRUE(local_after_rules());
  plan.rules.tcp.push_back({{}, {}, {}, Verdict::reject});
  EXPECT_FALSE(local_after_rules());
}

TEST(Ruleset, TakesNobodysPacketsButThisMachinesWithoutInterfaces) {
  Plan plan = example_plan();
  plan.settings.interfaces = {};
  plan.settings.local = true;
  EXPECT_THAT(ruleset(plan, everything), Not(HasSubstr("goto from_clients")));
  EXPECT_THAT(guard(plan), Not(HasSubstr("hook prerouting")));
  EXPECT_THAT(guard(plan), HasSubstr("hook output"));
}

TEST(Guard, IsNobodysTable) { EXPECT_THAT(guard(example_plan()), Not(HasSubstr("owner"))); }

TEST(Ruleset, WithoutInterceptionIsAboutAnswersAlone) {
  Plan plan{.settings = {}, .borrows = true, .ports = {.ipv4 = 40001, .ipv6 = 40002}, .cgroup = {}};
  const std::string text = ruleset(plan, {.taking = true});
  EXPECT_EQ(count(text, "hook"), 1U);
  EXPECT_THAT(text, Not(HasSubstr("@tcp_ports")));
  EXPECT_THAT(text, Not(HasSubstr("set take_tcp")));
  EXPECT_EQ(transition({plan, {}}, {plan, {.taking = true}}), "");

  // One on this machine's own addresses can only be told by what we have sent it.
  plan.upstreams = {*Endpoint::parse("192.0.2.7:80")};
  const std::string with_answers = ruleset(plan, {.taking = true});
  EXPECT_THAT(with_answers, HasSubstr("type route hook output"));
  EXPECT_THAT(with_answers, HasSubstr("fib saddr type != local fib daddr type local update @taken4"));
  EXPECT_THAT(with_answers, Not(HasSubstr("local_syn")));
}

}  // namespace
}  // namespace limpid
