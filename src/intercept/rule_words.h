// SPDX-License-Identifier: MIT
// The words that our nftables rules are made of, and the sets and exceptions that the table and the guard share. Pure.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "intercept/plan.h"

namespace limpid::rules {

using Lines = std::vector<std::string>;

struct Set {
  std::string name;
  std::string body;
  bool operator==(const Set&) const = default;
};

struct Chain {
  std::string name;
  std::string hook;  // empty: not a base chain
  Lines rules;       // comments among them start with '#'
};

struct Table {
  std::vector<Set> sets;
  std::vector<Chain> chains;
};

// `name`: with its family, "inet limpid". `head`: lines behind the opening brace.
[[nodiscard]] std::string text_of(const Table& table, std::string_view name, std::string_view head);

// The words for a family. `ip` is the protocol's name in expressions, `digit` ends the names of its sets.
struct Words {
  std::string_view ip;
  char digit;
  std::string_view connection;  // both ends of the packet, in the direction it goes
  std::string_view datagram;    // the same, of UDP
  std::string_view answer;      // of UDP, in the other direction
  std::string_view loopback;
};
[[nodiscard]] Words words(int family);

inline constexpr std::string_view new_connection = "tcp flags & (syn | ack) == syn";

// The conntrack zone of the clients' side. Both legs of a session have the same addresses and ports; in one zone
// conntrack would take them for one connection, and masquerade would leave the second leg alone.
inline constexpr int clients_zone = 5300;

// Expressions about a mark; `subject` is "meta mark" or "socket mark".
[[nodiscard]] std::string has(std::string_view subject, Mark mark);
[[nodiscard]] std::string lacks(std::string_view subject, Mark mark);
// The other bits stay as they are: they may be somebody else's.
[[nodiscard]] std::string give(Mark mark);
// What becomes of packets for sockets of the proxy's on the clients' side: delivered here.
[[nodiscard]] std::string divert(const Plan& plan, const Conditions& conditions);
// "meta nfproto ipv4 meta l4proto tcp tproxy ip to 127.0.0.1:40001". Without a listener tproxy does not match: the
// packet goes on.
[[nodiscard]] std::string tproxy(const Plan& plan, int family, Protocol proto = Protocol::tcp);
// A bare ACK of a handshake that @handshakes remembers.
[[nodiscard]] std::string last_ack(const Plan& plan, const Conditions& conditions, int family);

[[nodiscard]] std::string ports(const std::vector<PortRange>& ranges);  // "80, 8000-8999"
// "@clients", or quicker where that is one name: the name.
[[nodiscard]] std::string clients(const Plan& plan);
[[nodiscard]] std::string is_from_a_client(const Plan& plan);
inline constexpr std::string_view was_from_a_client = "iifname @held_clients";
[[nodiscard]] Set held_clients(const Plan& plan);

// A set of ports, filled or to be filled. The kernel looks faster into a set that knows no ranges.
[[nodiscard]] Set port_set(std::string name, const std::vector<PortRange>& ranges, bool is_filled = true);
// A set of connections, or of whatever else `key` names of a packet, that the packets themselves fill.
[[nodiscard]] Set learnt_set(std::string_view name, int family, std::string_view key, std::string_view timeout);

// @clients (of several names or patterns), and the bypass sets that are not empty.
void add_common_sets(const Plan& plan, Table& table);

// What the kernel decides of the user's rules: a chain, if there is anything to decide.
void add_kernel_rules(const Plan& plan, Protocol proto, Table& table);
// What is not taken: connections to this machine itself, what has no single receiver, what the user left out, and what
// that chain decides.
void add_exceptions(const Plan& plan, Protocol proto, Lines& rules);

// Connections that limpid itself opens, by what they have beside own_mark.
void add_own_exceptions(const Plan& plan, Lines& rules);

}  // namespace limpid::rules
