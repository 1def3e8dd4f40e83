// SPDX-License-Identifier: MIT
// The guard as text, for `without_us = "closed"`. Pure.
#pragma once
#include <string>

#include "intercept/plan.h"

namespace limpid {

// `table inet limpid_guard`: just behind our table, it refuses what should have been taken and was not. It belongs to
// nobody and outlives us.
[[nodiscard]] std::string guard(const Plan& plan);

}  // namespace limpid
