// SPDX-License-Identifier: MIT
// What `limpid rules` prints: the kernel state for a proxy that is not ours, as programs read it. Pure.
#pragma once
#include <string>
#include <vector>

#include "intercept/plan.h"

namespace limpid {

// For nft(8): both tables, in place of what may stand under their names, in one transaction.
[[nodiscard]] std::string standing_tables(const Plan& plan, const Conditions& conditions);

// Lines to be put behind "ip ", in order; and those that take it back.
[[nodiscard]] std::vector<std::string> ip_commands(const Plan& plan);
[[nodiscard]] std::vector<std::string> ip_undo_commands(const Plan& plan);

// A file for `nft -f`; what else is needed stands in its comments.
[[nodiscard]] std::string rules_for_nft(const Plan& plan, const Conditions& conditions);
// A script for sh(1), which does it all or stops at what is refused.
[[nodiscard]] std::string rules_for_shell(const Plan& plan, const Conditions& conditions);
// The same with iptables' rules (iptables_rules.h) in the place of the tables.
[[nodiscard]] std::string iptables_for_shell(const Plan& plan, const Conditions& conditions);

}  // namespace limpid
