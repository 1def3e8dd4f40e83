// SPDX-License-Identifier: MIT
// Lists in their simplest form: sorted, nothing twice, nothing that another entry covers. An nftables set with
// intervals refuses entries that overlap.
#pragma once
#include <string>
#include <vector>

#include "config/config.h"

namespace limpid {

// Ranges that overlap or touch become one.
[[nodiscard]] std::vector<PortRange> normalise(std::vector<PortRange> ports);
// IPv4 before IPv6.
[[nodiscard]] std::vector<Prefix> normalise(std::vector<Prefix> prefixes);
// In the order given: it is the order in which the user knows them. "lan*" covers "lan0".
[[nodiscard]] std::vector<std::string> normalise(const std::vector<std::string>& interfaces);

// Every list of it; and rules and listeners without a name are called by their place.
[[nodiscard]] Config normalise(Config config);

}  // namespace limpid
