// SPDX-License-Identifier: MIT
// Each rule's comment goes into the text, too: `limpid check` and `nft list` readers want to know as much as we do.
#include "intercept/ruleset.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>

namespace limpid {
namespace {

using Lines = std::vector<std::string>;

// The conntrack zone of the clients' side. Both legs of a session have the same addresses and ports; in one zone
// conntrack would take them for one connection, and masquerade would leave the second leg alone.
constexpr int clients_zone = 5300;

// How many connections the learnt sets can hold. A full set means that a connection is not taken, or its handshake
// fails under SYN cookies; never that a packet is lost.
constexpr int learnt_size = 1 << 20;

constexpr std::string_view new_connection = "tcp flags & (syn | ack) == syn";
constexpr std::string_view connection4 = "ip saddr . tcp sport . ip daddr . tcp dport";
constexpr std::string_view connection6 = "ip6 saddr . tcp sport . ip6 daddr . tcp dport";

struct Set {
  std::string name;
  std::string body;
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

// The words for a family. `ip` is the protocol's name in expressions, `digit` ends the names of its sets.
struct Words {
  std::string_view ip;
  char digit;
  std::string_view connection;
  std::string_view loopback;
};
Words words(int family) {
  return family == AF_INET ? Words{"ip", '4', connection4, "127.0.0.1"} : Words{"ip6", '6', connection6, "[::1]"};
}

// `subject` is "meta mark" or "socket mark".
std::string has(std::string_view subject, Mark mark) {
  return fmt::format("{} & 0x{:08x} == 0x{:08x}", subject, mark.mask, mark.bits);
}
std::string lacks(std::string_view subject, Mark mark) {
  return fmt::format("{} & 0x{:08x} != 0x{:08x}", subject, mark.mask, mark.bits);
}
// The other bits stay as they are: they may be somebody else's.
std::string give(Mark mark) {
  return fmt::format("meta mark set meta mark & 0x{:08x} | 0x{:08x}", ~mark.mask, mark.bits);
}

// Our upstream sockets carry own_mark alone; listeners, and with them accepted, request and TIME_WAIT sockets, both.
std::string is_upstream_socket(const Intercept& settings) {
  return fmt::format("socket mark & 0x{:08x} == 0x{:08x}", settings.own_mark.mask | settings.mark.mask,
                     settings.own_mark.bits);
}
std::string is_accepted_socket(const Intercept& settings) {
  return has("socket mark", settings.own_mark.with(settings.mark));
}

std::string ports(const Intercept& settings) {
  Lines texts;
  for (const PortRange& range : settings.tcp) texts.push_back(range.text());
  return fmt::format("{}", fmt::join(texts, ", "));
}

// nft has no wildcard for every interface. "lo" is not where clients come in.
bool is_everywhere(const Intercept& settings) {
  return std::ranges::find(settings.interfaces, "*") != settings.interfaces.end();
}
std::string is_from_a_client(const Intercept& settings) {
  return is_everywhere(settings) ? "iifname != \"lo\"" : "iifname @clients";
}

std::string prefixes(const std::vector<Prefix>& list, int family) {
  Lines texts;
  for (const Prefix& prefix : list)
    if (prefix.address.family() == family) texts.push_back(prefix.text());
  return fmt::format("{}", fmt::join(texts, ", "));
}

Set interval_set(std::string name, std::string_view type, const std::string& elements) {
  return {std::move(name), fmt::format("type {}; flags interval; auto-merge;{}", type,
                                       elements.empty() ? "" : fmt::format(" elements = {{ {} }};", elements))};
}

Set learnt_set(std::string_view name, const Words& word, std::string_view timeout) {
  return {fmt::format("{}{}", name, word.digit),
          fmt::format("typeof {}; size {}; flags dynamic,timeout; timeout {};", word.connection, learnt_size, timeout)};
}

void add_prefix_sets(const Plan& plan, Table& table) {
  for (const int family : families(plan)) {
    const Words word = words(family);
    const std::string type = family == AF_INET ? "ipv4_addr" : "ipv6_addr";
    if (const std::string list = prefixes(plan.settings.bypass, family); !list.empty())
      table.sets.push_back(interval_set(fmt::format("bypass{}", word.digit), type, list));
    if (const std::string list = prefixes(plan.settings.bypass_from, family); !list.empty())
      table.sets.push_back(interval_set(fmt::format("bypass_from{}", word.digit), type, list));
  }
}

void add_common_sets(const Plan& plan, Table& table) {
  const Intercept& settings = plan.settings;
  if (!settings.interfaces.empty() && !is_everywhere(settings))
    table.sets.push_back(
        interval_set("clients", "ifname", fmt::format("\"{}\"", fmt::join(settings.interfaces, "\", \""))));
  table.sets.push_back(interval_set("tcp_ports", "inet_service", ports(settings)));
  add_prefix_sets(plan, table);
}

// What is never taken: connections to this machine itself, what has no single receiver, and what the user left out.
void add_exceptions(const Plan& plan, Lines& rules) {
  rules.push_back("fib daddr type { local, broadcast, multicast, anycast } return");
  for (const int family : families(plan)) {
    const Words word = words(family);
    if (!prefixes(plan.settings.bypass, family).empty())
      rules.push_back(fmt::format("{} daddr @bypass{} return", word.ip, word.digit));
    if (!prefixes(plan.settings.bypass_from, family).empty())
      rules.push_back(fmt::format("{} saddr @bypass_from{} return", word.ip, word.digit));
  }
}

// "meta l4proto tcp tproxy ip to 127.0.0.1:40001", once a family. Without a listener tproxy does not match: the packet
// goes on.
std::string tproxy(const Plan& plan, int family) {
  const Words word = words(family);
  return fmt::format("meta nfproto ipv{} meta l4proto tcp tproxy {} to {}:{}", word.digit, word.ip, word.loopback,
                     plan.ports.of(family));
}

// ---- The clients' side: before conntrack, so that the zone can be chosen here.

Chain clients_chain(const Plan& plan, const Conditions& conditions) {
  Chain chain{"clients", "", {}};
  // A bridge that hands packets to iptables swallows those that are delivered here, at the hook's very first place:
  // only what is registered before it, at the lowest priority and later than it, sees them in time.
  chain.hook = fmt::format("type filter hook prerouting priority {};", conditions.early ? "-2147483648" : "raw");
  chain.rules.push_back(fmt::format("iifname \"lo\" {} goto from_here", has("meta mark", plan.settings.local_mark)));
  if (!plan.settings.interfaces.empty())
    chain.rules.push_back(
        fmt::format("{} meta l4proto {{ tcp, icmp, ipv6-icmp }} goto from_clients", is_from_a_client(plan.settings)));
  return chain;
}

// This machine's own connections, looped back by the chain "local", and the probe at start. tproxy alone does it all:
// it looks for the connection's own socket first, then for the listener.
Chain from_here_chain(const Plan& plan) {
  Chain chain{"from_here", "", {}};
  for (const int family : families(plan)) chain.rules.push_back(tproxy(plan, family) + " accept");
  return chain;
}

Chain from_clients_chain(const Plan& plan, const Conditions& conditions) {
  const Intercept& settings = plan.settings;
  const std::string take = fmt::format(
      "{}{} accept", conditions.zones ? fmt::format("ct zone set {} ", clients_zone) : "", give(settings.mark));
  Lines rules = {
      "# First: divert would answer a SYN from a TIME_WAIT socket with an ACK, and the client would stall; tproxy "
      "knows.",
      fmt::format("{} goto syn", new_connection),
      "# A server on the clients' side: the chain \"servers\" takes what it sends us.",
      fmt::format("{} return", is_upstream_socket(settings)),
      "# Divert: sessions of ours, and ICMP errors about them.",
      fmt::format("{} {}", is_accepted_socket(settings), take),
      "# Somebody else's sockets.",
      fmt::format("socket wildcard 0 {} return", lacks("socket mark", settings.own_mark)),
      "# Handshakes and TIME_WAIT of ours: \"socket mark\" does not see them.",
      fmt::format("tcp dport @tcp_ports socket transparent 1 {}", take),
  };
  if (conditions.cookies) {
    rules.push_back("# SYN cookies: a handshake's last ACK has no socket yet, but we have seen its SYN.");
    for (const int family : families(plan)) {
      const Words word = words(family);
      rules.push_back(fmt::format("tcp flags & (syn | rst | fin | ack) == ack {} @handshakes{} {} {}", word.connection,
                                  word.digit, tproxy(plan, family), take));
    }
  }
  return {"from_clients", "", std::move(rules)};
}

Chain syn_chain(const Plan& plan, const Conditions& conditions) {
  Lines rules = {"tcp dport != @take_tcp return"};
  add_exceptions(plan, rules);
  // Rules of their own: a full set must not stop the SYN.
  if (conditions.cookies)
    for (const int family : families(plan))
      rules.push_back(fmt::format("update @handshakes{} {{ {} }}", words(family).digit, words(family).connection));
  for (const int family : families(plan))
    rules.push_back(fmt::format("{} {}{} accept", tproxy(plan, family),
                                conditions.zones ? fmt::format("ct zone set {} ", clients_zone) : "",
                                give(plan.settings.mark)));
  return {"syn", "", std::move(rules)};
}

// What we send to clients belongs to their zone.
Chain zone_chain(const Plan& plan) {
  return {"to_clients",
          "type filter hook output priority raw;",
          {fmt::format("{} fib daddr type != local ct zone set {}",
                       has("meta mark", plan.settings.own_mark.with(plan.settings.mark)), clients_zone)}};
}

// ---- The servers' side: after conntrack, since masquerade must be undone before a packet finds its socket.

Chain servers_chain(const Plan& plan) {
  const Intercept& settings = plan.settings;
  const std::string take = give(settings.mark) + " accept";
  return {"servers",
          "type filter hook prerouting priority mangle;",
          {
              fmt::format("{} return", has("meta mark", settings.mark)),
              "# Divert: sessions of ours, and ICMP errors about them.",
              fmt::format("meta l4proto {{ tcp, icmp, ipv6-icmp }} {} {}", is_upstream_socket(settings), take),
              fmt::format("socket wildcard 0 {} return", lacks("socket mark", settings.own_mark)),
              "# TIME_WAIT of ours: \"socket mark\" does not see it.",
              fmt::format("tcp sport @tcp_ports socket transparent 1 {}", take),
          }};
}

// ---- This machine's own connections: marked on the way out, which routes them to lo and back in.

// Ours are left alone, else a session would be its own client: by mark, and by uid should a socket ever lack it.
void add_own_exceptions(const Plan& plan, Lines& rules) {
  rules.push_back(fmt::format("{} accept", has("meta mark", plan.settings.local_mark)));
  rules.push_back(fmt::format("meta skuid {} accept", plan.worker_uid));
  if (plan.cgroup)
    rules.push_back(fmt::format("socket cgroupv2 level {} \"{}\" accept", plan.cgroup->level, plan.cgroup->path));
}

Chain local_chain(const Plan& plan) {
  Lines rules = {"meta l4proto != tcp accept", fmt::format("{} goto ours", has("meta mark", plan.settings.own_mark))};
  add_own_exceptions(plan, rules);
  rules.push_back(fmt::format("{} goto local_syn", new_connection));
  rules.push_back(
      "# Only connections that were taken: those from before, accepted ones and the kernel's resets go their way.");
  for (const int family : families(plan)) {
    const Words word = words(family);
    rules.push_back(fmt::format("{0} @taken{1} goto local_taken{1}", word.connection, word.digit));
    rules.push_back(
        fmt::format("{0} @closing{1} update @closing{1} {{ {0} }} goto steer", word.connection, word.digit));
  }
  return {"local", "type route hook output priority mangle;", std::move(rules)};
}

Chain local_syn_chain(const Plan& plan) {
  Lines rules = {"# Whatever this address and port pair was before, it is a new connection now."};
  for (const int family : families(plan))
    for (const std::string_view set : {"taken", "closing"})
      rules.push_back(fmt::format("delete @{}{} {{ {} }}", set, words(family).digit, words(family).connection));
  rules.push_back("tcp dport != @take_tcp return");
  add_exceptions(plan, rules);
  for (const int family : families(plan))
    rules.push_back(fmt::format("update @taken{} {{ {} }} goto steer", words(family).digit, words(family).connection));
  return {"local_syn", "", std::move(rules)};
}

// Every packet refreshes; a FIN moves the connection to the set that forgets sooner, a reset ends it.
Chain local_taken_chain(int family) {
  const Words word = words(family);
  return {fmt::format("local_taken{}", word.digit),
          "",
          {
              fmt::format("tcp flags & (fin | rst) == 0x0 update @taken{} {{ {} }} goto steer", word.digit,
                          word.connection),
              fmt::format("delete @taken{} {{ {} }}", word.digit, word.connection),
              fmt::format("tcp flags & rst == 0x0 update @closing{} {{ {} }}", word.digit, word.connection),
              "goto steer",
          }};
}

// A reset from us ends a connection as one from the client does; its addresses are the other way round.
Chain ours_chain(const Plan& plan) {
  Chain chain{"ours", "", {}};
  for (const int family : families(plan)) {
    const Words word = words(family);
    chain.rules.push_back(
        fmt::format("tcp flags & rst == rst delete @taken{} {{ {ip} daddr . tcp dport . {ip} saddr . tcp sport }}",
                    word.digit, fmt::arg("ip", word.ip)));
  }
  return chain;
}

void add_local_chains(const Plan& plan, Table& table) {
  for (const int family : families(plan)) {
    table.sets.push_back(learnt_set("taken", words(family), "1d"));
    table.sets.push_back(learnt_set("closing", words(family), "10m"));
  }
  table.chains.push_back({"steer", "", {give(plan.settings.local_mark) + " accept"}});
  table.chains.push_back(ours_chain(plan));
  for (const int family : families(plan)) table.chains.push_back(local_taken_chain(family));
  table.chains.push_back(local_syn_chain(plan));
  table.chains.push_back(local_chain(plan));
}

// ---- All together. A chain stands before those that jump to it.

Table table_of(const Plan& plan, const Conditions& conditions) {
  Table table;
  add_common_sets(plan, table);
  // The ports again, but only while we take new connections; @tcp_ports is for sessions that live.
  table.sets.push_back(interval_set("take_tcp", "inet_service", conditions.taking ? ports(plan.settings) : ""));
  if (conditions.cookies)
    for (const int family : families(plan)) table.sets.push_back(learnt_set("handshakes", words(family), "10s"));
  table.chains.push_back(syn_chain(plan, conditions));
  table.chains.push_back(from_clients_chain(plan, conditions));
  table.chains.push_back(from_here_chain(plan));
  table.chains.push_back(clients_chain(plan, conditions));
  table.chains.push_back(servers_chain(plan));
  if (conditions.zones) table.chains.push_back(zone_chain(plan));
  if (plan.settings.local) add_local_chains(plan, table);
  return table;
}

std::string text_of(const Table& table, std::string_view name, std::string_view flags) {
  std::string text = fmt::format("table inet {} {{\n{}", name, flags);
  for (const Set& set : table.sets) text += fmt::format("\tset {} {{ {} }}\n", set.name, set.body);
  for (const Chain& chain : table.chains) {
    text += fmt::format("\tchain {} {{\n", chain.name);
    if (!chain.hook.empty()) text += fmt::format("\t\t{} policy accept;\n", chain.hook);
    for (const std::string& rule : chain.rules) text += fmt::format("\t\t{}\n", rule);
    text += "\t}\n";
  }
  return text + "}\n";
}

constexpr std::string_view owned = "\tflags owner;\n";

// Empties and fills @take_tcp.
std::string retake(const Plan& plan, bool taking) {
  const std::string flush = "flush set inet limpid take_tcp\n";
  return taking ? flush + fmt::format("add element inet limpid take_tcp {{ {} }}\n", ports(plan.settings)) : flush;
}

bool has_set(const Table& table, const std::string& name) {
  return std::ranges::any_of(table.sets, [&](const Set& set) { return set.name == name; });
}

}  // namespace

std::string ruleset(const Plan& plan, const Conditions& conditions) {
  return text_of(table_of(plan, conditions), "limpid", owned);
}

std::string transition(const Plan& plan, const Conditions& from, const Conditions& to) {
  Conditions only_taking = from;
  only_taking.taking = to.taking;
  if (only_taking == to) return retake(plan, to.taking);

  // The chains are made anew, the sets stay: @taken and @handshakes are what the packets have taught us.
  const Table before = table_of(plan, from);
  Table after = table_of(plan, to);
  std::string text = "flush table inet limpid\n";
  for (const Chain& chain : before.chains) text += fmt::format("delete chain inet limpid {}\n", chain.name);
  for (const Set& set : before.sets)
    if (!has_set(after, set.name)) text += fmt::format("delete set inet limpid {}\n", set.name);
  std::erase_if(after.sets, [&](const Set& set) { return has_set(before, set.name); });
  return text + text_of(after, "limpid", owned) + retake(plan, to.taking);
}

std::string guard(const Plan& plan) {
  const Intercept& settings = plan.settings;
  Table table;
  add_common_sets(plan, table);

  Lines refuse = {"tcp dport != @tcp_ports return"};
  add_exceptions(plan, refuse);
  for (const int family : families(plan))
    refuse.push_back(fmt::format("meta nfproto ipv{} reject with tcp reset", words(family).digit));
  table.chains.push_back({"refuse", "", std::move(refuse)});

  if (!settings.interfaces.empty())
    table.chains.push_back({"clients",
                            "type filter hook prerouting priority -145;",
                            {
                                fmt::format("{} return", has("meta mark", settings.mark)),
                                fmt::format("{} return", has("meta mark", settings.local_mark)),
                                fmt::format("{} {} goto refuse", is_from_a_client(settings), new_connection),
                            }});
  if (settings.local) {
    Lines rules = {fmt::format("{} accept", has("meta mark", settings.own_mark))};
    add_own_exceptions(plan, rules);
    rules.push_back(fmt::format("{} goto refuse", new_connection));
    table.chains.push_back({"local", "type filter hook output priority -145;", std::move(rules)});
  }
  return text_of(table, "limpid_guard", "");
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
