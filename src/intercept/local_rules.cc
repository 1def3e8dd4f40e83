// SPDX-License-Identifier: MIT
#include "intercept/local_rules.h"

#include "intercept/udp_rules.h"

namespace limpid::rules {
namespace {

Chain local_chain(const Plan& plan) {
  Lines rules;
  const bool takes_udp = plan.settings.local && !plan.settings.udp.empty();
  if (takes_udp) rules.push_back("meta l4proto udp goto local_udp");
  rules.push_back("meta l4proto != tcp accept");
  if (!plan.is_foreign()) rules.push_back(fmt::format("{} goto ours", has("meta mark", plan.settings.own_mark)));
  if (plan.settings.local) {
    add_own_exceptions(plan, rules);
    rules.push_back(fmt::format("{} goto local_syn", new_connection));
  }
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
  add_exceptions(plan, Protocol::tcp, rules);
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
    const std::string reverse = fmt::format("{ip} daddr . tcp dport . {ip} saddr . tcp sport", fmt::arg("ip", word.ip));
    chain.rules.push_back(fmt::format("tcp flags & rst == rst delete @taken{} {{ {} }}", word.digit, reverse));
    if (!plan.steers_answers()) continue;
    // What the server on this machine will answer is addressed to the client, whose address we have borrowed.
    const std::string to_a_server_here =
        fmt::format("meta nfproto ipv{} {} fib saddr type != local fib daddr type local", word.digit, new_connection);
    chain.rules.push_back(fmt::format("{} delete @closing{} {{ {} }}", to_a_server_here, word.digit, reverse));
    chain.rules.push_back(fmt::format("{} update @taken{} {{ {} }}", to_a_server_here, word.digit, reverse));
  }
  return chain;
}

}  // namespace

void add_local_chains(const Plan& plan, const Conditions& conditions, Table& table) {
  for (const int family : families(plan)) {
    table.sets.push_back(learnt_set("taken", family, words(family).connection, "1d"));
    table.sets.push_back(learnt_set("closing", family, words(family).connection, "10m"));
  }
  table.chains.push_back({"steer", "", {give(plan.settings.local_mark) + " accept"}});
  if (!plan.is_foreign()) table.chains.push_back(ours_chain(plan));
  for (const int family : families(plan)) table.chains.push_back(local_taken_chain(family));
  if (plan.settings.local) table.chains.push_back(local_syn_chain(plan));
  if (plan.settings.local && !plan.settings.udp.empty()) table.chains.push_back(local_udp_chain(plan, conditions));
  table.chains.push_back(local_chain(plan));
}

}  // namespace limpid::rules
