// SPDX-License-Identifier: MIT
// The verbs below `limpid rules`. All return the exit status (cli/verbs.h).
#pragma once
#include <string>
#include <vector>

#include "cli/rules_command.h"

namespace limpid {

struct PrintOptions {
  std::string backend;  // "nft" or "iptables"
  std::string format;   // "shell", "json", or the backend's own: its name
  bool conntrack = false;
};
// The state that `install` would make where nobody else has its numbers. Touches nothing, needs no privilege.
[[nodiscard]] int rules_print_verb(const RulesRequest& request, const PrintOptions& options);

// The command's exit status, if there is a command.
[[nodiscard]] int rules_hold_verb(const RulesRequest& request, const std::vector<std::string>& command);

[[nodiscard]] int rules_install_verb(const RulesRequest& request);
[[nodiscard]] int rules_remove_verb(const std::string& name);
[[nodiscard]] int rules_list_verb(bool as_json);

}  // namespace limpid
