// SPDX-License-Identifier: MIT
// A seed that nobody outside can guess, for tables whose keys strangers choose.
#pragma once
#include <random>

#include "policy/suffix_hash.h"

namespace limpid {

[[nodiscard]] inline HashSeed random_seed() {
  std::random_device device;
  const auto half = [&device] { return static_cast<std::uint64_t>(device()) << 32 | device(); };
  return {half(), half()};
}

}  // namespace limpid
