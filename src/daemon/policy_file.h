// SPDX-License-Identifier: MIT
// The policy on its way to the worker: a file in memory that nobody can change any more (memfd_create(2), fcntl(2)
// F_ADD_SEALS). It holds secrets, so that it has no name and is passed as a descriptor.
#pragma once
#include "base/fd.h"
#include "policy/policy.h"

namespace limpid {

[[nodiscard]] Result<Fd> write_policy_file(const PolicySource& policy);
[[nodiscard]] Result<PolicySource> read_policy_file(const Fd& file);

}  // namespace limpid
