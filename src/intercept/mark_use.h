// SPDX-License-Identifier: MIT
// Which bits of a packet's or connection's mark a rule of nft(8)'s text looks at or changes. Pure.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace limpid {

struct MarkUse {
  bool changes = false;    // "mark set", else a comparison
  std::uint32_t bits = 0;  // the bits of all values, and those that an explicit mask names
  std::uint32_t mask = 0;  // of a comparison, if it names one
  bool operator==(const MarkUse&) const = default;
};

// "meta mark & 0xff == 0x1" uses 0xff; "meta mark 0x1" uses 0x1 (comparing a whole mark says nothing about the other
// bits); "meta mark set meta mark & 0xffffff00 | 0x1" uses 0xff; "ct mark set meta mark" names none.
[[nodiscard]] std::vector<MarkUse> mark_uses(std::string_view rule);

// The words of a rule, without what is in quotes; braces, parentheses and commas are words of their own.
[[nodiscard]] std::vector<std::string_view> words_of(std::string_view rule);

}  // namespace limpid
