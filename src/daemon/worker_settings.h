// SPDX-License-Identifier: MIT
// The configuration as a worker needs it: values, and how much this machine lets it serve.
#pragma once
#include <cstdint>

#include "config/config.h"
#include "intercept/plan.h"
#include "proxy/settings.h"

namespace limpid {

// Large pipes, of which each session that moves bulk borrows one a direction.
inline constexpr std::uint32_t most_pipes = 256;

// UDP's sockets for sending many datagrams at once, a family and direction.
[[nodiscard]] std::uint32_t segment_sockets(std::uint64_t descriptors);

// One a core.
[[nodiscard]] unsigned path_threads();

// Sessions that fit into a worker's descriptors beside everything else it holds (`others`: pipes and UDP).
[[nodiscard]] std::uint64_t session_budget(std::uint64_t descriptors, std::uint64_t others);

// `most_sessions`: the budget; the configuration may want less.
[[nodiscard]] PathSettings path_settings(const Config& config, std::uint64_t most_sessions, const ListenerPorts& ports);

}  // namespace limpid
