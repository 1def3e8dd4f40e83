// SPDX-License-Identifier: MIT
#include <cstdio>

#include "cli/verbs.h"
#include "daemon/account.h"
#include "intercept/ruleset.h"

namespace limpid {

int check_verb(const Config& config) {
  const Result<WorkerAccount> account = find_worker_account(config.process.user);
  if (!account) {
    std::fprintf(stderr, "limpid: %s\n", account.error().what.c_str());
    return exit_refused;
  }
  const Plan plan = plan_on_paper(config, account->account.uid);
  for (std::size_t place = 0; place < config.rules.size(); ++place)
    std::printf("# Rule %zu \"%s\" is decided by %s.\n", place + 1, config.rules[place].name.c_str(),
                plan.rules.decides[place] ? "the kernel" : "limpid");
  if (plan.rules.watches_dns)
    std::printf("# A rule verifies hosts: datagrams to port %d come to limpid, whatever the rules say.\n", dns_port);
  for (const ListenerSettings& listener : config.listeners)
    std::printf("# Listener \"%s\" sends its connections %s.\n", listener.name.c_str(),
                listener.action == action_rules ? "by the rules, all of which limpid decides"
                                                : fmt::format("to upstream \"{}\"", listener.action).c_str());
  if (!config.rules.empty() || !config.listeners.empty()) std::printf("\n");
  if (plan.is_empty()) {
    std::printf("# Nothing: it takes sockets alone.\n");
    return 0;
  }
  std::fputs(describe(plan, {.taking = true}).c_str(), stdout);
  return 0;
}

}  // namespace limpid
