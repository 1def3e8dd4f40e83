// SPDX-License-Identifier: MIT
// The verbs of the command line, one small file each. All return the exit status: 0; 1: the world refused, and one line
// on standard error says what and what to do; 2: wrong usage or configuration.
#pragma once
#include <optional>
#include <string>

#include "config/config.h"

namespace limpid {

inline constexpr int exit_refused = 1;
inline constexpr int exit_usage = 2;

// Prints the kernel state that `run` would install. Touches nothing.
[[nodiscard]] int check_verb(const Config& config);

[[nodiscard]] int status_verb(const std::string& control_socket, bool as_json);

// The UDP flows that the kernel forwards by itself; or takes those back that a filter means (policy/flow_filter.h).
[[nodiscard]] int flows_verb(const std::string& control_socket, bool as_json,
                             const std::optional<std::string>& take_back);

// Asks the limpid that runs to take everything back; without one, removes what a dead one left.
[[nodiscard]] int withdraw_verb(const std::string& control_socket, const Config& config);

}  // namespace limpid
