// SPDX-License-Identifier: MIT
// Bytes as ASCII has them, whatever the locale (isalnum(3) asks it).
#pragma once

namespace limpid {

[[nodiscard]] constexpr bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }
[[nodiscard]] constexpr bool is_letter(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

}  // namespace limpid
