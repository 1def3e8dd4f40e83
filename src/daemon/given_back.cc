// SPDX-License-Identifier: MIT
#include "daemon/given_back.h"

#include <spdlog/spdlog.h>

namespace limpid {

void give_back(WorkerKeeper& worker, KernelFlows& flows, const std::vector<FlowAccount>& accounts) {
  if (accounts.empty()) return;
  const Result<> told = worker.tell(MessageKind::flows_given_back, accounts);
  if (told) return;
  spdlog::warn("give {} UDP flows back: {}", accounts.size(), told.error().what);
  for (const FlowAccount& account : accounts) flows.close(account, CloseReason::withdrawn);
}

}  // namespace limpid
