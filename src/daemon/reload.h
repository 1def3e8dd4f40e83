// SPDX-License-Identifier: MIT
// What a running limpid can make its own of another configuration, and what not. Pure.
#pragma once
#include <string>
#include <vector>

#include "config/config.h"

namespace limpid {

// A sentence for each key that differs and cannot change before the next start, with the reason.
[[nodiscard]] std::vector<std::string> unchangeable(const Config& running, const Config& wanted);

}  // namespace limpid
