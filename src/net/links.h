// SPDX-License-Identifier: MIT
// The network interfaces of this namespace.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"

namespace limpid {

struct Link {
  int index = 0;
  std::string name;
  bool is_up = false;
  bool is_bridge = false;
  bool calls_iptables = false;  // a bridge that hands its packets to iptables by a setting of its own
  bool operator==(const Link&) const = default;
};

[[nodiscard]] Result<std::vector<Link>> links();

}  // namespace limpid
