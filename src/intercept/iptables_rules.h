// SPDX-License-Identifier: MIT
// The set-up for a proxy that is not ours in the words of iptables-restore(8) and ip6tables-restore(8), for machines
// whose firewall is iptables': chains of our own in the table mangle, and in raw where there is conntrack. What it
// cannot do is in docs/kernel.md (F39). Pure.
#pragma once
#include <string>
#include <vector>

#include "intercept/plan.h"

namespace limpid {

// Whether iptables can carry the plan out; an Error says what it cannot.
[[nodiscard]] Result<> check_for_iptables(const Plan& plan);

// For one family, to be loaded with --noflush. A second time the chains are made anew, but the jumps to them are there
// twice: iptables_undo() goes first.
[[nodiscard]] std::string iptables_rules(const Plan& plan, const Conditions& conditions, int family);
// Commands that take it back, of which each may be refused where there is nothing to take back: "iptables -t mangle
// ...".
[[nodiscard]] std::vector<std::string> iptables_undo(const Plan& plan, const Conditions& conditions, int family);

}  // namespace limpid
