// SPDX-License-Identifier: MIT
// Judges the configuration as a whole: what takes more than one key to judge. A value by itself is judged in value.h.
#pragma once
#include "config/config.h"
#include "config/source.h"

namespace limpid {

// All that is wrong at once, each at the place of the key to change. A rule is passed over where a value it needs was
// refused already.
[[nodiscard]] ConfigErrors check(const Config& config, const Origins& origins);

}  // namespace limpid
