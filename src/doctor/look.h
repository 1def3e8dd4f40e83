// SPDX-License-Identifier: MIT
// Looks at this machine, changing nothing: what `limpid doctor` judges. In the network namespace of the calling thread,
// which must be the only one (a namespace is made and left).
#pragma once
#include <optional>
#include <string>

#include "doctor/machine.h"

namespace limpid {

struct Running {
  Config config;
  std::string state;
  std::vector<std::string> degraded;
};
// The limpid that listens there. Nothing: none does. An error: it cannot be asked.
[[nodiscard]] Result<std::optional<Running>> ask_running(const std::string& control_socket);

// `named`: the configuration to judge; nothing: that of the limpid that runs.
[[nodiscard]] Machine look_at_machine(const std::optional<Config>& named, const std::string& control_socket);

}  // namespace limpid
