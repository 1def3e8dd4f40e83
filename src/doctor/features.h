// SPDX-License-Identifier: MIT
// What the kernel can do, found out by doing it in a network namespace that is made for it and goes with it. Nothing
// outside of it changes, but that a kernel may load the modules that it is asked for.
#pragma once
#include "doctor/machine.h"

namespace limpid {

// CAP_SYS_ADMIN and what `limpid run` needs. `plan`: whose rules are loaded as a whole at the end.
[[nodiscard]] Result<std::vector<Feature>> try_features(const Plan& plan);

}  // namespace limpid
