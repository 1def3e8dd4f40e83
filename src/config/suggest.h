// SPDX-License-Identifier: MIT
// What somebody who mistyped a name may have meant.
#pragma once
#include <span>
#include <string_view>

namespace limpid {

// The one of `known` that is a slip or two away from `word`; empty if none is.
[[nodiscard]] std::string_view closest(std::string_view word, std::span<const std::string_view> known);

}  // namespace limpid
