// SPDX-License-Identifier: MIT
#include "intercept/guard.h"

#include "intercept/rule_words.h"

namespace limpid {

using namespace rules;

std::string guard(const Plan& plan) {
  const Intercept& settings = plan.settings;
  Table table;
  add_common_sets(plan, table);
  table.sets.push_back(port_set("tcp_ports", settings.tcp));
  if (!settings.udp.empty()) table.sets.push_back(port_set("udp_ports", settings.udp));

  add_kernel_rules(plan, Protocol::tcp, table);
  Lines refuse = {"tcp dport != @tcp_ports return"};
  add_exceptions(plan, Protocol::tcp, refuse);
  for (const int family : families(plan))
    refuse.push_back(fmt::format("meta nfproto ipv{} reject with tcp reset", words(family).digit));
  table.chains.push_back({"refuse", "", std::move(refuse)});

  if (!settings.udp.empty()) {
    add_kernel_rules(plan, Protocol::udp, table);
    Lines refuse_udp = {"udp dport != @udp_ports return"};
    add_exceptions(plan, Protocol::udp, refuse_udp);
    refuse_udp.push_back("reject");
    table.chains.push_back({"refuse_udp", "", std::move(refuse_udp)});
  }

  if (!settings.interfaces.empty()) {
    Lines rules;
    // own_mark: datagrams of flows that we have left to the kernel.
    for (const Mark mark : {settings.mark, settings.local_mark, settings.own_mark})
      if (mark.mask != 0) rules.push_back(fmt::format("{} return", has("meta mark", mark)));
    rules.push_back(fmt::format("{} {} goto refuse", is_from_a_client(plan), new_connection));
    if (!settings.udp.empty())
      rules.push_back(fmt::format("{} meta l4proto udp goto refuse_udp", is_from_a_client(plan)));
    table.chains.push_back({"clients", "type filter hook prerouting priority -145;", std::move(rules)});
  }
  if (settings.local) {
    Lines rules;
    if (!plan.is_foreign()) rules.push_back(fmt::format("{} accept", has("meta mark", settings.own_mark)));
    add_own_exceptions(plan, rules);
    rules.push_back(fmt::format("{} goto refuse", new_connection));
    if (!settings.udp.empty()) rules.push_back("meta l4proto udp goto refuse_udp");
    table.chains.push_back({"local", "type filter hook output priority -145;", std::move(rules)});
  }
  return text_of(table, plan.whose.guard(), plan.whose.guard_head());
}

}  // namespace limpid
