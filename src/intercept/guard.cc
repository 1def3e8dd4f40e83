// SPDX-License-Identifier: MIT
#include "intercept/guard.h"

#include "intercept/rule_words.h"

namespace limpid {

using namespace rules;

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

}  // namespace limpid
