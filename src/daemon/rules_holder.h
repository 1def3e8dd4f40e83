// SPDX-License-Identifier: MIT
// `limpid rules hold`: the kernel state for a proxy that is not ours, as long as that runs.
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "intercept/rules_instances.h"

namespace limpid {

struct HoldOptions {
  Plan plan;  // with a name; its numbers are chosen
  GivenNumbers given;
  std::vector<std::string> command;  // the proxy; empty: it runs by itself, and we until a signal
  std::chrono::milliseconds start_timeout{};
};

// Until the command ends, or SIGTERM or SIGINT, which are passed on to it. The exit status is the command's, or else of
// cli/verbs.h.
[[nodiscard]] int hold_rules(const HoldOptions& options);

}  // namespace limpid
