// SPDX-License-Identifier: MIT
// A packet that somebody wonders about: "tcp 10.1.0.2:5000 -> 203.0.113.9:443 on lan0". Pure.
#pragma once
#include <string>
#include <string_view>

#include "base/result.h"
#include "policy/flow.h"

namespace limpid {

struct PacketQuestion {
  Protocol proto = Protocol::tcp;
  Flow flow;
  std::string interface;  // where it comes in; "lo": this machine sends it

  [[nodiscard]] static Result<PacketQuestion> parse(std::string_view text);
  [[nodiscard]] bool is_from_here() const { return interface == "lo"; }
  [[nodiscard]] std::string text() const;
  bool operator==(const PacketQuestion&) const = default;
};

}  // namespace limpid
