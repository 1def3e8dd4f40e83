// SPDX-License-Identifier: MIT
// The plan as text in nft(8)'s and ip(8)'s own words. Pure. The rules and why they are as they are: docs/kernel.md.
#pragma once
#include <string>

#include "intercept/plan.h"

namespace limpid {

// `table inet limpid { flags owner; ... }`: gone as soon as the netlink socket that made it is closed.
[[nodiscard]] std::string ruleset(const Plan& plan, const Conditions& conditions);

struct Wanted {
  const Plan& plan;
  Conditions conditions;
};
// One transaction that leads from one to the other and keeps what the sets have learnt from the packets.
[[nodiscard]] std::string transition(const Wanted& from, const Wanted& to);

// Everything, for people: `ip` lines and what nft(8) reads, with comments that both skip.
[[nodiscard]] std::string describe(const Plan& plan, const Conditions& conditions);

}  // namespace limpid
