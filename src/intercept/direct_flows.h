// SPDX-License-Identifier: MIT
// The sets @direct4 and @direct6 of the table inet limpid: flows that the kernel forwards by itself, with a counter a
// direction.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/flow.h"

namespace limpid {

// Statements for nft(8) that add flows to the sets, or delete them: both directions of each. Pure.
enum class DirectChange { add, remove };
[[nodiscard]] std::string direct_change(DirectChange change, std::span<const Flow> flows);

// One direction of a flow, as the kernel has counted it.
struct DirectCount {
  Flow ends;  // `client` has sent these
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;  // IP packets, headers included
};
// Of these families. What the kernel's GRO has put together counts as one packet.
[[nodiscard]] Result<std::vector<DirectCount>> direct_counts(const std::vector<int>& families);

}  // namespace limpid
