// SPDX-License-Identifier: MIT
// Packets that come in at one interface, received as if they had come in at another (tc(8): ingress, u32, mirred).
#pragma once
#include <string>

#include "base/result.h"

namespace limpid {

// All of IPv4, and IPv6's TCP and UDP (not its neighbour discovery, which must stay where it is). Only `from` is
// changed, and what was changed goes with it. In the network namespace of the calling thread. CAP_NET_ADMIN.
[[nodiscard]] Result<> receive_as(const std::string& from, const std::string& as);

}  // namespace limpid
