// SPDX-License-Identifier: MIT
#include "intercept/foreign_rules.h"

#include "intercept/udp_rules.h"

namespace limpid::rules {
namespace {

// The last two of the rules that find a socket of the proxy's. A listener on the wildcard address is none: it would
// swallow every packet to its port, whatever the destination.
void add_socket_rules(const std::string& take, std::string_view else_then, Lines& rules) {
  rules.push_back(fmt::format("socket wildcard 1 {}", else_then));
  rules.push_back(fmt::format("socket transparent 1 {}", take));
}

std::string deliver(const Plan& plan) { return give(plan.settings.mark) + " accept"; }

// tproxy alone does it: it looks for a socket of the flow's own first, then for the listener.
void add_datagram_tproxy(const Plan& plan, std::string_view then, Lines& rules) {
  for (const int family : families(plan))
    rules.push_back(fmt::format("{} {}", tproxy(plan, family, Protocol::udp), then));
}

Chain datagram_answers_chain(const Plan& plan, const Conditions& conditions) {
  Chain chain{"udp_answers", "", {}};
  if (conditions.zones) {
    // Where the client's own address is there again.
    chain.hook = "type filter hook prerouting priority dstnat + 5;";
    chain.rules.push_back("meta l4proto != udp return");
  }
  if (!conditions.is_one_hook()) leave_what_is_taken(plan, chain.rules);
  chain.rules.push_back("# What comes back to a socket with its client's address.");
  chain.rules.push_back("udp sport != @udp_ports return");
  add_socket_rules(deliver(plan), "return", chain.rules);
  return chain;
}

}  // namespace

void leave_what_is_taken(const Plan& plan, Lines& rules) {
  rules.push_back(fmt::format("meta mark & 0x{:08x} != 0x00000000 return", plan.settings.mark.mask));
}

void add_foreign_sessions(const Plan& plan, const Conditions& conditions, Lines& rules) {
  rules.push_back("# Connections of the proxy's, their handshakes, what is left of them, and ICMP errors about them.");
  add_socket_rules(divert(plan, conditions), conditions.cookies ? "goto last_ack" : "return", rules);
  if (!conditions.cookies) return;
  rules.push_back("socket wildcard 0 return");
  rules.push_back("goto last_ack");
}

Chain last_ack_chain(const Plan& plan, const Conditions& conditions) {
  Chain chain{"last_ack", "", {"# SYN cookies: a handshake's last ACK has no socket yet, but we have seen its SYN."}};
  for (const int family : families(plan)) chain.rules.push_back(last_ack(plan, conditions, family));
  return chain;
}

void add_foreign_answers(const Plan& plan, Lines& rules) {
  rules.push_back("# What comes back to connections that the proxy has opened with its client's address.");
  add_socket_rules(deliver(plan), "return", rules);
}

void add_foreign_udp(const Plan& plan, const Conditions& conditions, Table& table) {
  table.sets.push_back(take_udp_set(plan, conditions));
  table.sets.push_back(port_set("udp_ports", plan.settings.udp));
  Chain from_here{"udp_from_here", "", {}}, from_clients{"udp_from_clients", "", {}};
  add_datagram_tproxy(plan, "accept", from_here.rules);
  if (conditions.early) add_whole_only(from_clients.rules);
  add_questions(plan, from_clients.rules);
  add_datagram_tproxy(plan, divert(plan, conditions), from_clients.rules);
  table.chains.push_back(std::move(from_here));
  table.chains.push_back(std::move(from_clients));
  table.chains.push_back(datagram_answers_chain(plan, conditions));
}

// Told by the address it has borrowed: this machine's own connections to clients have its own.
Chain foreign_zone_chain(const Plan& plan) {
  return {"to_clients",
          "type filter hook output priority raw;",
          {fmt::format("oifname {} fib saddr type != local ct zone set {}", clients(plan), clients_zone)}};
}

}  // namespace limpid::rules
