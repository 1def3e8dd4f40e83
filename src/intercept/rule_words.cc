// SPDX-License-Identifier: MIT
#include "intercept/rule_words.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <optional>

namespace limpid::rules {
namespace {

// How many connections a learnt set can hold; the kernel allocates 4 MiB for that many at once (nelem_hint in
// net/netfilter/nft_set_hash.c). Where a set is full, a local connection is not taken, or under SYN cookies a handshake
// fails; no packet of an accepted session is lost.
constexpr int learnt_size = 1 << 18;

constexpr Words words4{.ip = "ip",
                       .digit = '4',
                       .connection = "ip saddr . tcp sport . ip daddr . tcp dport",
                       .datagram = "ip saddr . udp sport . ip daddr . udp dport",
                       .answer = "ip daddr . udp dport . ip saddr . udp sport",
                       .loopback = "127.0.0.1"};
constexpr Words words6{.ip = "ip6",
                       .digit = '6',
                       .connection = "ip6 saddr . tcp sport . ip6 daddr . tcp dport",
                       .datagram = "ip6 saddr . udp sport . ip6 daddr . udp dport",
                       .answer = "ip6 daddr . udp dport . ip6 saddr . udp sport",
                       .loopback = "[::1]"};

Set set_of(std::string name, std::string_view type, bool has_ranges, const std::string& elements) {
  return {std::move(name), fmt::format("type {};{}{}", type, has_ranges ? " flags interval; auto-merge;" : "",
                                       elements.empty() ? "" : fmt::format(" elements = {{ {} }};", elements))};
}

std::string prefixes(const std::vector<Prefix>& list, int family) {
  Lines texts;
  for (const Prefix& prefix : list)
    if (prefix.address.family() == family) texts.push_back(prefix.text());
  return fmt::format("{}", fmt::join(texts, ", "));
}

void add_prefix_sets(const Plan& plan, Table& table) {
  for (const int family : families(plan)) {
    const Words word = words(family);
    const std::string type = family == AF_INET ? "ipv4_addr" : "ipv6_addr";
    if (const std::string list = prefixes(plan.settings.bypass, family); !list.empty())
      table.sets.push_back(set_of(fmt::format("bypass{}", word.digit), type, true, list));
    if (const std::string list = prefixes(plan.settings.bypass_from, family); !list.empty())
      table.sets.push_back(set_of(fmt::format("bypass_from{}", word.digit), type, true, list));
  }
}

bool is_pattern(const std::string& interface) { return interface.ends_with('*'); }

bool is_one_name(const Intercept& settings) {
  return settings.interfaces.size() == 1 && !is_pattern(settings.interfaces[0]);
}

Set interface_set(std::string name, const std::vector<std::string>& interfaces) {
  return set_of(std::move(name), "ifname", std::ranges::any_of(interfaces, is_pattern),
                fmt::format("\"{}\"", fmt::join(interfaces, "\", \"")));
}

}  // namespace

std::string text_of(const Table& table, std::string_view name, std::string_view head) {
  std::string text = fmt::format("table {} {{\n{}", name, head);
  for (const Set& set : table.sets) text += fmt::format("\tset {} {{ {} }}\n", set.name, set.body);
  for (const Chain& chain : table.chains) {
    text += fmt::format("\tchain {} {{\n", chain.name);
    if (!chain.hook.empty()) text += fmt::format("\t\t{} policy accept;\n", chain.hook);
    for (const std::string& rule : chain.rules) text += fmt::format("\t\t{}\n", rule);
    text += "\t}\n";
  }
  return text + "}\n";
}

Words words(int family) { return family == AF_INET ? words4 : words6; }

std::string has(std::string_view subject, Mark mark) {
  return fmt::format("{} & 0x{:08x} == 0x{:08x}", subject, mark.mask, mark.bits);
}
std::string lacks(std::string_view subject, Mark mark) {
  return fmt::format("{} & 0x{:08x} != 0x{:08x}", subject, mark.mask, mark.bits);
}
std::string give(Mark mark) {
  return fmt::format("meta mark set meta mark & 0x{:08x} | 0x{:08x}", ~mark.mask, mark.bits);
}

std::string divert(const Plan& plan, const Conditions& conditions) {
  return fmt::format("{}{} accept", conditions.zones ? fmt::format("ct zone set {} ", clients_zone) : "",
                     give(plan.settings.mark));
}

std::string tproxy(const Plan& plan, int family, Protocol proto) {
  const Words word = words(family);
  return fmt::format("meta nfproto ipv{} meta l4proto {} tproxy {} to {}", word.digit,
                     proto == Protocol::tcp ? "tcp" : "udp", word.ip, plan.listener(family).text());
}

std::string last_ack(const Plan& plan, const Conditions& conditions, int family) {
  const Words word = words(family);
  return fmt::format("tcp flags & (syn | rst | fin | ack) == ack {} @handshakes{} {} {}", word.connection, word.digit,
                     tproxy(plan, family), divert(plan, conditions));
}

std::string ports(const std::vector<PortRange>& ranges) {
  Lines texts;
  for (const PortRange& range : ranges) texts.push_back(range.text());
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string clients(const Plan& plan) {
  return is_one_name(plan.settings) ? fmt::format("\"{}\"", plan.settings.interfaces[0]) : "@clients";
}

std::string is_from_a_client(const Plan& plan) { return "iifname " + clients(plan); }

Set port_set(std::string name, const std::vector<PortRange>& ranges, bool is_filled) {
  const bool has_ranges = std::ranges::any_of(ranges, [](const PortRange& range) { return range.first != range.last; });
  return set_of(std::move(name), "inet_service", has_ranges, is_filled ? ports(ranges) : "");
}

Set learnt_set(std::string_view name, int family, std::string_view key, std::string_view timeout) {
  return {fmt::format("{}{}", name, words(family).digit),
          fmt::format("typeof {}; size {}; flags dynamic,timeout; timeout {};", key, learnt_size, timeout)};
}

Set held_clients(const Plan& plan) { return interface_set("held_clients", plan.held.interfaces); }

void add_common_sets(const Plan& plan, Table& table) {
  const Intercept& settings = plan.settings;
  if (!settings.interfaces.empty() && !is_one_name(settings))
    table.sets.push_back(interface_set("clients", settings.interfaces));
  // A named set: libnftables 1.0.6 crashes when it lists an anonymous one whose elements the kernel will not tell.
  table.sets.push_back({"not_routed", "type fib_addrtype; elements = { local, broadcast, multicast, anycast };"});
  add_prefix_sets(plan, table);
}

namespace {

const std::vector<KernelRule>& rules_of(const Plan& plan, Protocol proto) {
  return proto == Protocol::tcp ? plan.rules.tcp : plan.rules.udp;
}

std::string_view verdict_words(Verdict verdict, Protocol proto) {
  switch (verdict) {
    case Verdict::pass:
      return "accept";
    case Verdict::reject:
      return proto == Protocol::tcp ? "reject with tcp reset" : "reject with icmpx admin-prohibited";
    case Verdict::drop:
      return "drop";
    case Verdict::take:
      return "return";
  }
  return "return";
}

// Of one family; nothing where the rule is about the other alone.
std::optional<std::string> line_of(const KernelRule& rule, Protocol proto, int family) {
  const Words word = words(family);
  const std::string from = prefixes(rule.from, family), to = prefixes(rule.to, family);
  if (from.empty() != rule.from.empty() || to.empty() != rule.to.empty()) return std::nullopt;
  std::string line = fmt::format("meta nfproto ipv{} ", word.digit);
  if (!from.empty()) line += fmt::format("{} saddr {{ {} }} ", word.ip, from);
  if (!to.empty()) line += fmt::format("{} daddr {{ {} }} ", word.ip, to);
  if (!rule.port.empty())
    line += fmt::format("{} dport {{ {} }} ", proto == Protocol::tcp ? "tcp" : "udp", ports(rule.port));
  return line.append(verdict_words(rule.verdict, proto));
}

std::string_view kernel_rules_chain(Protocol proto) { return proto == Protocol::tcp ? "tcp_rules" : "udp_rules"; }

}  // namespace

void add_kernel_rules(const Plan& plan, Protocol proto, Table& table) {
  if (rules_of(plan, proto).empty()) return;
  Chain chain{std::string(kernel_rules_chain(proto)), "", {}};
  for (const KernelRule& rule : rules_of(plan, proto))
    for (const int family : families(plan))
      if (std::optional<std::string> line = line_of(rule, proto, family)) chain.rules.push_back(*std::move(line));
  table.chains.push_back(std::move(chain));
}

void add_exceptions(const Plan& plan, Protocol proto, Lines& rules) {
  Lines exceptions = {"fib daddr type @not_routed return"};
  for (const int family : families(plan)) {
    const Words word = words(family);
    if (!prefixes(plan.settings.bypass, family).empty())
      exceptions.push_back(fmt::format("{} daddr @bypass{} return", word.ip, word.digit));
    if (!prefixes(plan.settings.bypass_from, family).empty())
      exceptions.push_back(fmt::format("{} saddr @bypass_from{} return", word.ip, word.digit));
  }
  const std::vector<KernelRule>& decided = rules_of(plan, proto);
  if (!decided.empty()) {
    // Last, for they refuse what is not to be touched; where they do not, first, for a fib look-up costs more.
    const bool refuse = std::ranges::any_of(
        decided, [](Verdict verdict) { return verdict == Verdict::reject || verdict == Verdict::drop; },
        &KernelRule::verdict);
    exceptions.insert(refuse ? exceptions.end() : exceptions.begin(),
                      fmt::format("jump {}", kernel_rules_chain(proto)));
  }
  std::ranges::move(exceptions, std::back_inserter(rules));
}

// Ours are left alone, else a session would be its own client: by mark, and by uid should a socket ever lack it.
void add_own_exceptions(const Plan& plan, Lines& rules) {
  rules.push_back(fmt::format("{} accept", has("meta mark", plan.settings.local_mark)));
  if (plan.worker_uid) rules.push_back(fmt::format("meta skuid {} accept", *plan.worker_uid));
  if (plan.cgroup)
    rules.push_back(fmt::format("socket cgroupv2 level {} \"{}\" accept", plan.cgroup->level, plan.cgroup->path));
}

}  // namespace limpid::rules
