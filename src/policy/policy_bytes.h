// SPDX-License-Identifier: MIT
// A policy as bytes: how the supervisor, which has read the files, hands it to the worker, which is the same binary.
#pragma once
#include "policy/policy.h"

namespace limpid {

[[nodiscard]] std::string to_bytes(const PolicySource& source);
// An Error if they are not what to_bytes() makes.
[[nodiscard]] Result<PolicySource> policy_from_bytes(std::string_view bytes);

}  // namespace limpid
