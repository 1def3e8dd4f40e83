// SPDX-License-Identifier: MIT
// UDP flows that the kernel had, and that the worker is to have again.
#pragma once
#include <vector>

#include "daemon/kernel_flows.h"
#include "daemon/worker_keeper.h"

namespace limpid {

// Tells the worker. Of what one that is not there, or does not hear, will never tell, the access log is told here.
void give_back(WorkerKeeper& worker, KernelFlows& flows, const std::vector<FlowAccount>& accounts);

}  // namespace limpid
