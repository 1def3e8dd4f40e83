// SPDX-License-Identifier: MIT
// The set-ups for other proxies that there are in this network namespace (`limpid rules`), and the numbers of a new
// one. Each has a protocol number, which tags its fib rules and routes and stands in its table's comment.
// CAP_NET_ADMIN.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "intercept/nft.h"
#include "intercept/plan.h"

namespace limpid {

struct RulesInstance {
  Instance whose;
  Holder table = Holder::none;  // an owner: a "limpid rules hold" that lives
  bool has_guard = false;
};

// By name. `protocol` is 0 where a table of that name says nothing, which then is somebody else's.
[[nodiscard]] Result<std::vector<RulesInstance>> rules_instances(Nft& nft);
// The protocol number in the comment of a listed table; 0 if there is none.
[[nodiscard]] std::uint8_t protocol_in(std::string_view listing);

// What the user said of the numbers; the others are chosen.
struct GivenNumbers {
  std::optional<Mark> mark, local_mark;
  std::optional<std::uint32_t> table, priority;
};

// The plan with the numbers of a place: 0 to most_rules - 1. Pure. An Error where given and chosen ones overlap.
[[nodiscard]] Result<Plan> with_numbers_of(int place, Plan plan, const GivenNumbers& given);

// The plan with the numbers of its name, or else of the first place that is free: no other set-up has it, and nobody
// uses its marks, priorities or table. To be called, and the table made, under lock_rules().
[[nodiscard]] Result<Plan> with_free_numbers(Nft& nft, const Plan& plan, const GivenNumbers& given);

// Protocol numbers that fib rules or routes have but no table: what is left of set-ups whose tables somebody removed.
[[nodiscard]] Result<std::vector<std::uint8_t>> orphaned_protocols(const std::vector<RulesInstance>& instances);

}  // namespace limpid
