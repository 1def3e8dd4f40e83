// SPDX-License-Identifier: MIT
// Comments about single rules go into the text: readers of `limpid check` want to know them as much as we do.
#include "intercept/ruleset.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "intercept/foreign_rules.h"
#include "intercept/guard.h"
#include "intercept/local_rules.h"
#include "intercept/rule_words.h"
#include "intercept/udp_rules.h"

namespace limpid {

using namespace rules;

namespace {

// Our upstream sockets carry own_mark alone; listeners, and with them accepted, request and TIME_WAIT sockets, both.
std::string mark_of_socket(const Intercept& settings) {
  return fmt::format("socket mark & 0x{:08x}", settings.own_mark.mask | settings.mark.mask);
}
std::string of_upstream(const Intercept& settings) { return fmt::format("0x{:08x}", settings.own_mark.bits); }
std::string of_accepted(const Intercept& settings) {
  return fmt::format("0x{:08x}", settings.own_mark.bits | settings.mark.bits);
}

// Packets with a transparent socket: those of sessions of ours are diverted, and ICMP errors about them. With one hook
// the servers' as well.
Chain sockets_chain(const Plan& plan, const Conditions& conditions) {
  const Intercept& settings = plan.settings;
  const bool is_one_hook = conditions.is_one_hook();
  Chain chain{"sockets",
              "",
              {fmt::format("{} vmap {{ {} : goto divert, {} : {} }}", mark_of_socket(settings), of_accepted(settings),
                           of_upstream(settings), is_one_hook ? "goto divert" : "accept")}};
  if (!settings.is_wanted()) return chain;
  chain.rules.push_back("# Handshakes and TIME_WAIT of ours: \"socket mark\" does not see them.");
  chain.rules.push_back("tcp dport @tcp_ports goto divert_unmarked");
  if (is_one_hook) chain.rules.push_back("tcp sport @tcp_ports goto divert_unmarked");
  return chain;
}

void add_sessions(const Plan& plan, const Conditions& conditions, Lines& rules) {
  if (plan.is_foreign()) return add_foreign_sessions(plan, conditions, rules);
  rules.push_back("# What is let go has none: one look-up tells.");
  rules.push_back(fmt::format("socket transparent 1 {} sockets", conditions.cookies ? "jump" : "goto"));
  if (!conditions.cookies || !plan.settings.is_wanted()) return;
  rules.push_back(fmt::format("socket wildcard 0 {} return", lacks("socket mark", plan.settings.own_mark)));
  rules.push_back("# SYN cookies: a handshake's last ACK has no socket yet, but we have seen its SYN.");
  for (const int family : families(plan)) rules.push_back(last_ack(plan, conditions, family));
}

// ---- The clients' side: before conntrack, so that the zone can be chosen here.

std::string is_from_here(const Plan& plan) {
  return fmt::format("iif \"lo\" {} goto from_here", has("meta mark", plan.settings.local_mark));
}

// Each rule costs every packet that gets to it (docs/kernel.md, F30): TCP leaves first, and then flows that the kernel
// has.
Chain clients_chain(const Plan& plan, const Conditions& conditions) {
  Chain chain{"clients", "", {}};
  // A bridge that hands packets to iptables swallows those that are delivered here, at the hook's very first place:
  // only what is registered before it, at the lowest priority and later than it, sees them in time.
  chain.hook = fmt::format("type filter hook prerouting priority {};", conditions.early ? "-2147483648" : "raw");
  chain.rules.push_back("meta l4proto tcp goto connections");
  // A datagram that is on its way in from here when its flow is handed over still has to come to us. With conntrack,
  // answers have the client's address later only, and the chain "udp_answers" asks for them.
  const bool is_first = plan.settings.local || plan.is_foreign();
  if (is_first) chain.rules.push_back(is_from_here(plan));
  if (plan.is_foreign()) leave_what_is_taken(plan, chain.rules);
  if (!conditions.zones) add_direct(plan, conditions, chain.rules);
  if (!is_first) chain.rules.push_back(is_from_here(plan));
  if (!plan.settings.udp.empty()) {
    if (!plan.settings.interfaces.empty())
      chain.rules.push_back(fmt::format("meta l4proto udp {} {} udp_from_clients", is_from_a_client(plan),
                                        plan.is_foreign() && conditions.is_one_hook() ? "jump" : "goto"));
    if (conditions.is_one_hook()) chain.rules.push_back("meta l4proto udp goto udp_answers");
  }
  chain.rules.push_back("meta l4proto { icmp, ipv6-icmp } goto connections");
  return chain;
}

// TCP, and ICMP errors about it.
Chain connections_chain(const Plan& plan, const Conditions& conditions) {
  Chain chain{"connections", "", {is_from_here(plan)}};
  if (plan.is_foreign()) leave_what_is_taken(plan, chain.rules);
  if (!plan.settings.interfaces.empty()) {
    chain.rules.push_back(
        "# First: divert would answer a SYN from a TIME_WAIT socket with an ACK, and the client would stall; tproxy "
        "knows.");
    chain.rules.push_back(fmt::format("{} {} goto syn", is_from_a_client(plan), new_connection));
  }
  if (!plan.held.interfaces.empty())
    chain.rules.push_back(fmt::format("{} {} accept", was_from_a_client, new_connection));
  if (conditions.is_one_hook()) {
    add_sessions(plan, conditions, chain.rules);
    return chain;
  }
  if (!plan.settings.interfaces.empty())
    chain.rules.push_back(fmt::format("{} goto from_clients", is_from_a_client(plan)));
  if (!plan.held.interfaces.empty()) chain.rules.push_back(fmt::format("{} goto from_clients", was_from_a_client));
  return chain;
}

// This machine's own connections, looped back by the chain "local", and the probe at start. tproxy alone does it all:
// it looks for the connection's own socket first, then for the listener.
Chain from_here_chain(const Plan& plan) {
  Chain chain{"from_here", "", {}};
  if (!plan.settings.udp.empty()) chain.rules.push_back("meta l4proto udp goto udp_from_here");
  for (const int family : families(plan)) chain.rules.push_back(tproxy(plan, family) + " accept");
  return chain;
}

// For packets of a transparent socket that has no mark of ours.
Chain unmarked_chain(const Plan& plan, std::string name, std::string take) {
  return {std::move(name),
          "",
          {"# One that could have it is somebody else's.",
           fmt::format("{} return", lacks("socket mark", plan.settings.own_mark)), std::move(take)}};
}

Chain syn_chain(const Plan& plan, const Conditions& conditions) {
  Lines rules = {"tcp dport != @take_tcp return"};
  add_exceptions(plan, Protocol::tcp, rules);
  // Rules of their own: a full set must not stop the SYN.
  if (conditions.cookies)
    for (const int family : families(plan))
      rules.push_back(fmt::format("update @handshakes{} {{ {} }}", words(family).digit, words(family).connection));
  for (const int family : families(plan))
    rules.push_back(fmt::format("{} {}", tproxy(plan, family), divert(plan, conditions)));
  return {"syn", "", std::move(rules)};
}

// What we send to clients belongs to their zone.
Chain zone_chain(const Plan& plan) {
  return {"to_clients",
          "type filter hook output priority raw;",
          {fmt::format("{} fib daddr type != local ct zone set {}",
                       has("meta mark", plan.settings.own_mark.with(plan.settings.mark)), clients_zone)}};
}

// ---- The servers' side: after conntrack, which tells the socket look-up the address from before masquerade.

// Behind a hook of its own the packets of the clients' side come by as well.
void add_servers_hook(const Plan& plan, std::string name, std::string_view priority, Lines first, Table& table) {
  if (plan.is_foreign())
    leave_what_is_taken(plan, first);
  else
    first.push_back(fmt::format("{} return", has("meta mark", plan.settings.mark)));
  first.push_back("meta l4proto != { tcp, icmp, ipv6-icmp } return");
  if (plan.is_foreign())
    add_foreign_answers(plan, first);
  else
    first.push_back("socket transparent 1 goto server_sockets");
  table.chains.push_back({std::move(name), fmt::format("type filter hook prerouting priority {};", priority), first});
}

// Packets with a transparent socket, behind such a hook.
void add_server_sockets(const Plan& plan, Table& table) {
  const Intercept& settings = plan.settings;
  const std::string take = give(settings.mark) + " accept";
  Chain sockets{"server_sockets",
                "",
                {"# Divert: sessions of ours, and ICMP errors about them.",
                 fmt::format("{} == {} {}", mark_of_socket(settings), of_upstream(settings), take)}};
  if (settings.is_wanted()) {
    table.chains.push_back(unmarked_chain(plan, "servers_unmarked", take));
    sockets.rules.push_back("# TIME_WAIT of ours: \"socket mark\" does not see it.");
    sockets.rules.push_back("tcp sport @tcp_ports goto servers_unmarked");
  }
  table.chains.push_back(std::move(sockets));
}

void add_servers(const Plan& plan, const Conditions& conditions, Table& table) {
  if (!plan.is_foreign()) add_server_sockets(plan, table);
  Lines udp;
  if (!plan.settings.udp.empty())
    udp.push_back(fmt::format("meta l4proto udp {}", conditions.zones ? "return" : "goto udp_answers"));
  add_servers_hook(plan, "servers", "mangle", std::move(udp), table);
  // Once more behind masquerade's undoing, for IPv6: there the socket look-up does not ask conntrack about the packet
  // an ICMPv6 error quotes, nor, before Linux 6.15, about any (net/ipv6/netfilter/nf_socket_ipv6.c).
  if (conditions.zones && plan.ports.ipv6 != 0)
    add_servers_hook(plan, "servers_after_nat", "dstnat + 5", {"meta nfproto != ipv6 return"}, table);
}

// ---- All together. A chain stands before those that jump to it.

// The packets of sessions. Without interception: what comes back to those that have their client's address.
void add_divert(const Plan& plan, const Conditions& conditions, Table& table) {
  const bool is_wanted = plan.settings.is_wanted(), is_one_hook = conditions.is_one_hook();
  table.chains.push_back(from_here_chain(plan));
  if (plan.is_foreign()) {
    if (conditions.cookies) table.chains.push_back(last_ack_chain(plan, conditions));
  } else if (is_wanted || is_one_hook) {
    table.chains.push_back({"divert", "", {divert(plan, conditions)}});
    if (is_wanted) table.chains.push_back(unmarked_chain(plan, "divert_unmarked", divert(plan, conditions)));
    table.chains.push_back(sockets_chain(plan, conditions));
  }
  if (!is_one_hook) {
    if (is_wanted) {
      Chain from_clients{"from_clients", "", {}};
      add_sessions(plan, conditions, from_clients.rules);
      table.chains.push_back(std::move(from_clients));
    }
    add_servers(plan, conditions, table);
  }
  table.chains.push_back(connections_chain(plan, conditions));
  table.chains.push_back(clients_chain(plan, conditions));
}

Table table_of(const Plan& plan, const Conditions& conditions) {
  Table table;
  if (plan.settings.is_wanted()) {
    add_common_sets(plan, table);
    // @tcp_ports is for sessions that live. What is taken now: only while we take new connections.
    if (!plan.is_foreign()) table.sets.push_back(port_set("tcp_ports", plan.live_tcp()));
    if (!plan.held.interfaces.empty()) table.sets.push_back(held_clients(plan));
    table.sets.push_back(port_set("take_tcp", plan.settings.tcp, conditions.taking));
    if (conditions.cookies)
      for (const int family : families(plan))
        table.sets.push_back(learnt_set("handshakes", family, words(family).connection, "10s"));
    add_kernel_rules(plan, Protocol::tcp, table);
    const bool has_udp = !plan.settings.udp.empty();
    if (has_udp && plan.is_foreign()) add_foreign_udp(plan, conditions, table);
    if (has_udp && !plan.is_foreign()) add_udp(plan, conditions, table);
    table.chains.push_back(syn_chain(plan, conditions));
  }
  add_divert(plan, conditions, table);
  if (conditions.zones && plan.settings.is_wanted() && !plan.is_foreign()) table.chains.push_back(zone_chain(plan));
  if (conditions.zones && plan.is_foreign() && !plan.settings.interfaces.empty())
    table.chains.push_back(foreign_zone_chain(plan));
  if (plan.settings.local || plan.held.local || plan.steers_answers()) add_local_chains(plan, conditions, table);
  return table;
}

// Empties and fills @take_tcp and @take_udp.
std::string retake(const Plan& plan, bool taking) {
  if (!plan.settings.is_wanted()) return {};
  const std::string table = plan.whose.table();
  std::string text = fmt::format("flush set {} take_tcp\n", table);
  if (taking && !plan.settings.tcp.empty())
    text += fmt::format("add element {} take_tcp {{ {} }}\n", table, ports(plan.settings.tcp));
  return text + retake_udp(plan, taking);
}

bool has_set(const Table& table, const Set& set) { return std::ranges::find(table.sets, set) != table.sets.end(); }

}  // namespace

std::string ruleset(const Plan& plan, const Conditions& conditions) {
  return text_of(table_of(plan, conditions), plan.whose.table(), plan.whose.head());
}

std::string transition(const Wanted& from, const Wanted& to) {
  Conditions only_taking = from.conditions;
  only_taking.taking = to.conditions.taking;
  if (from.plan == to.plan && only_taking == to.conditions) return retake(to.plan, to.conditions.taking);

  // The chains are made anew, and the sets that are no longer the same. The others stay: @taken and @handshakes are
  // what the packets have taught us.
  const Table before = table_of(from.plan, from.conditions);
  Table after = table_of(to.plan, to.conditions);
  const std::string name = to.plan.whose.table();
  std::string text = fmt::format("flush table {}\n", name);
  for (const Chain& chain : before.chains) text += fmt::format("delete chain {} {}\n", name, chain.name);
  for (const Set& set : before.sets)
    if (!has_set(after, set)) text += fmt::format("delete set {} {}\n", name, set.name);
  std::erase_if(after.sets, [&](const Set& set) { return has_set(before, set); });
  return text + text_of(after, name, to.plan.whose.head()) + retake(to.plan, to.conditions.taking);
}

std::string describe(const Plan& plan, const Conditions& conditions) {
  std::string text = "# Routes and fib rules, for ip(8).\n";
  for (const FibRoute& route : fib_routes(plan)) text += fmt::format("ip {}\n", route.text());
  for (const FibRule& rule : fib_rules(plan)) text += fmt::format("ip {}\n", rule.text());
  if (plan.settings.without_us == WithoutUs::closed)
    text += "\n# For nft(8). This table stays when limpid goes, until \"limpid withdraw\".\n" + guard(plan);
  text +=
      "\n# For nft(8). \"flags owner\": the table vanishes with the program that loads it, be it limpid or nft "
      "itself.\n";
  return text + ruleset(plan, conditions);
}

}  // namespace limpid
