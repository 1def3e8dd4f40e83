// SPDX-License-Identifier: MIT
// Set-ups that stay: made, made again and taken away by commands, with no process behind them. CAP_NET_ADMIN, and
// lock_rules() held.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "intercept/leftovers.h"
#include "intercept/plan.h"
#include "intercept/rules_instances.h"

namespace limpid {

// Whether or not it is there already, in part or in whole, and by other settings: afterwards it is as the plan says.
// New connections are taken as before in between. A refused step undoes what this call has added. Connections that this
// machine opened itself, and that were taken, do not outlive a change.
[[nodiscard]] Result<> install_standing(Nft& nft, const Plan& plan, const Conditions& conditions);

// All that is there of it, going on past failures.
Removed remove_standing(Nft& nft, const RulesInstance& instance);

// What is there of an instance, in ip(8)'s and nft(8)'s words.
[[nodiscard]] Result<std::vector<std::string>> lines_of(const RulesInstance& instance);

}  // namespace limpid
