// SPDX-License-Identifier: MIT
// Which flows are meant, in words: "all", or "client=10.1.0.0/24,destination=203.0.113.9,port=443". Pure.
#pragma once
#include <optional>
#include <string_view>

#include "policy/flow.h"

namespace limpid {

struct FlowFilter {
  std::optional<Prefix> client;
  std::optional<Prefix> destination;
  std::optional<PortRange> port;  // of the destination

  static Result<FlowFilter> parse(std::string_view text);
  [[nodiscard]] bool matches(const Flow& flow) const;  // all that is given holds
};

}  // namespace limpid
