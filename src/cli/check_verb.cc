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
  const Plan plan{.settings = config.intercept,
                  .ports = {.ipv4 = 5300, .ipv6 = 5300},
                  .worker_uid = account->account.uid,
                  .cgroup = {}};
  std::fputs(describe(plan, {.taking = true}).c_str(), stdout);
  return 0;
}

}  // namespace limpid
