// SPDX-License-Identifier: MIT
// Base64 with padding (RFC 4648, section 4): Beast's own is private to it.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace limpid {

[[nodiscard]] inline std::string to_base64(std::string_view bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (; !bytes.empty(); bytes.remove_prefix(bytes.size() < 3 ? bytes.size() : 3)) {
    const auto byte = [bytes](std::size_t at) {
      return at < bytes.size() ? static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at])) : 0U;
    };
    const std::uint32_t group = byte(0) << 16 | byte(1) << 8 | byte(2);
    for (std::size_t digit = 0; digit < 4; ++digit)
      text += digit > bytes.size() ? '=' : digits[group >> (18 - 6 * digit) & 0x3f];
  }
  return text;
}

}  // namespace limpid
