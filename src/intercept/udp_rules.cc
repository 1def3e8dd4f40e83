// SPDX-License-Identifier: MIT
#include "intercept/udp_rules.h"

namespace limpid::rules {
namespace {

// How long an answer may follow a request and still be counted. Any later one is forwarded, which is as right.
constexpr std::string_view answer_within = "30s";
// Flows that the kernel can forward by itself, times two.
constexpr int direct_size = 1 << 17;

// "tproxy ip to 127.0.0.1:40003", once for datagrams that may be fragmented and once for the others.
void add_tproxy(const Plan& plan, std::uint16_t DatagramPorts::* clear, std::uint16_t DatagramPorts::* set,
                std::string_view then, Lines& rules) {
  for (const int family : families(plan)) {
    const Words word = words(family);
    const auto to = [&](std::string_view which, std::uint16_t port) {
      rules.push_back(fmt::format("meta nfproto ipv{} meta l4proto udp {}tproxy {} to {}:{} {}", word.digit, which,
                                  word.ip, word.loopback, port, then));
    };
    const DatagramPorts& ports = plan.udp(family);
    if (family == AF_INET) to("ip frag-off & 0x4000 == 0x4000 ", ports.*set);
    to("", ports.*clear);
  }
}

}  // namespace

// Counted, and marked where the guard, forward chains or another hook of ours are to see that.
void add_direct(const Plan& plan, const Conditions& conditions, Lines& rules) {
  if (!plan.handover) return;
  const bool is_seen = conditions.filters || plan.settings.without_us == WithoutUs::closed || !conditions.is_one_hook();
  const std::string pass = is_seen ? give(plan.settings.own_mark) + " accept" : "accept";
  for (const int family : families(plan))
    rules.push_back(fmt::format("{} @direct{} {}", words(family).datagram, words(family).digit, pass));
}

namespace {

void add_hops(Lines& rules) {
  rules.push_back("# No hop left: for the kernel to tell its sender.");
  rules.push_back("ip ttl < 2 return");
  rules.push_back("ip6 hoplimit < 2 return");
}

}  // namespace

void add_questions(const Plan& plan, Lines& rules) {
  rules.push_back("udp dport != @take_udp return");
  add_hops(rules);
  rules.push_back("# Nobody forwards it.");
  rules.push_back("ip6 saddr fe80::/10 return");
  add_exceptions(plan, Protocol::udp, rules);
}

void add_whole_only(Lines& rules) {
  rules.push_back("# So early, fragments are not together yet.");
  rules.push_back("ip frag-off & 0x3fff != 0x0 return");
  rules.push_back("exthdr frag exists return");
}

namespace {

Chain udp_from_clients_chain(const Plan& plan, const Conditions& conditions) {
  Lines rules;
  if (conditions.zones) add_direct(plan, conditions, rules);
  rules.push_back("# What a destination on the clients' side sends.");
  for (const int family : families(plan))
    rules.push_back(fmt::format("{} @answers{} {}", words(family).datagram, words(family).digit,
                                conditions.is_one_hook() ? "goto udp_answer" : "return"));
  if (conditions.early) {
    add_whole_only(rules);
    rules.push_back("# Up from the bridge they are, but nothing tells any more that they may be fragmented again.");
    rules.push_back("meta nfproto ipv6 meta length > 1500 return");
  }
  add_questions(plan, rules);
  for (const int family : families(plan))
    rules.push_back(fmt::format("update @answers{} {{ {} }}", words(family).digit, words(family).answer));
  add_tproxy(plan, &DatagramPorts::request, &DatagramPorts::request_df, divert(plan, conditions), rules);
  return {"udp_from_clients", "", std::move(rules)};
}

// Where there is conntrack: behind masquerade's undoing, where the client's own address is there again. Else another
// chain leads here, for each hook costs every packet.
Chain answers_chain(const Plan& plan, const Conditions& conditions) {
  Chain chain{"udp_answers", "", {}};
  if (conditions.zones) {
    chain.hook = "type filter hook prerouting priority dstnat + 5;";
    chain.rules.push_back("meta l4proto != udp return");
  }
  if (!conditions.is_one_hook()) {
    chain.rules.push_back("# Taken, or counted, in the chain \"clients\".");
    for (const Mark mark : {plan.settings.own_mark, plan.settings.mark})
      chain.rules.push_back(fmt::format("{} return", has("meta mark", mark)));
  }
  if (conditions.zones) add_direct(plan, conditions, chain.rules);
  for (const int family : families(plan))
    chain.rules.push_back(fmt::format("{} @answers{} goto udp_answer", words(family).datagram, words(family).digit));
  return chain;
}

}  // namespace

Set take_udp_set(const Plan& plan, const Conditions& conditions) {
  return port_set("take_udp", plan.settings.udp, conditions.taking);
}

void add_udp(const Plan& plan, const Conditions& conditions, Table& table) {
  table.sets.push_back(take_udp_set(plan, conditions));
  for (const int family : families(plan)) {
    const Words word = words(family);
    table.sets.push_back(learnt_set("answers", family, word.datagram, answer_within));
    if (plan.handover)
      table.sets.push_back({fmt::format("direct{}", word.digit),
                            fmt::format("typeof {}; size {}; counter;", word.datagram, direct_size)});
  }
  Lines from_here, answer;
  add_tproxy(plan, &DatagramPorts::here, &DatagramPorts::here_df, "accept", from_here);
  add_hops(answer);
  add_tproxy(plan, &DatagramPorts::answer, &DatagramPorts::answer_df, give(plan.settings.mark) + " accept", answer);
  add_kernel_rules(plan, Protocol::udp, table);
  table.chains.push_back({"udp_from_here", "", std::move(from_here)});
  table.chains.push_back({"udp_answer", "", std::move(answer)});
  table.chains.push_back(udp_from_clients_chain(plan, conditions));
  table.chains.push_back(answers_chain(plan, conditions));
}

// Answers to this machine are delivered as ever: tproxy would give them to the program's own socket, if that is
// connected, and to ours if not.
Chain local_udp_chain(const Plan& plan, const Conditions& conditions) {
  Lines rules;
  if (!plan.is_foreign()) rules.push_back(fmt::format("{} accept", has("meta mark", plan.settings.own_mark)));
  add_own_exceptions(plan, rules);
  add_direct(plan, conditions, rules);
  add_questions(plan, rules);
  rules.push_back("goto steer");
  return {"local_udp", "", std::move(rules)};
}

std::string retake_udp(const Plan& plan, bool taking) {
  if (plan.settings.udp.empty()) return "";
  const std::string table = plan.whose.table();
  std::string text = fmt::format("flush set {} take_udp\n", table);
  if (taking) return text + fmt::format("add element {} take_udp {{ {} }}\n", table, ports(plan.settings.udp));
  if (plan.is_foreign()) return text;
  for (const int family : families(plan)) text += fmt::format("flush set {} answers{}\n", table, words(family).digit);
  return text;
}

}  // namespace limpid::rules
