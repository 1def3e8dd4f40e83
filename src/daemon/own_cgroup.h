// SPDX-License-Identifier: MIT
// The cgroup to leave out of the interception of this machine's own connections.
#pragma once
#include <optional>

#include "intercept/nft.h"
#include "intercept/plan.h"

namespace limpid {

// The cgroup (version 2) of this process, if nobody else is in it and nft can name it; nothing otherwise: the mark and
// the uid keep loops away then.
[[nodiscard]] std::optional<Cgroup> find_own_cgroup(Nft& nft);

}  // namespace limpid
