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
  // `run` takes free ports; these stand for them.
  const bool udp = !config.intercept.udp.empty();
  const Plan plan{
      .settings = config.intercept,
      .borrows = borrows_addresses(config),
      .upstreams = upstreams_that_see_clients(config),
      .ports = {.ipv4 = 5300, .ipv6 = 5300},
      .udp4 = {.request = 5300, .request_df = 5301, .here = 5302, .here_df = 5303, .answer = 5304, .answer_df = 5305},
      .udp6 = {.request = 5300, .request_df = 5300, .here = 5301, .here_df = 5301, .answer = 5302, .answer_df = 5302},
      .handover = udp && config.transparency.handover == Handover::automatic,
      .rules = kernel_rules(config.rules),
      .worker_uid = account->account.uid,
      .cgroup = {}};
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
