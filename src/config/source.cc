// SPDX-License-Identifier: MIT
#include "config/source.h"

#include <fmt/format.h>

namespace limpid {
namespace {

bool is_control(char byte) { return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f; }

std::string escape_controls(std::string_view text) {
  std::string escaped;
  for (char byte : text) {
    if (is_control(byte))
      escaped += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    else
      escaped += byte;
  }
  return escaped;
}

}  // namespace

std::string SourcePlace::text() const { return line == 0 ? name : fmt::format("{}:{}:{}", name, line, column); }

std::string ConfigError::text() const {
  const std::string where = place.text();
  return escape_controls(where.empty() ? message : fmt::format("{}: {}", where, message));
}

std::string entry_origin(std::string_view table, std::size_t place) { return fmt::format("{}.{}", table, place); }

bool Origins::is_usable(std::string_view key) const {
  const auto found = keys.find(key);
  return found == keys.end() || found->second.usable;
}

SourcePlace Origins::place_of(std::string_view key) const {
  const auto found = keys.find(key);
  return found == keys.end() ? SourcePlace{file} : found->second.place;
}

}  // namespace limpid
