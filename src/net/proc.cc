// SPDX-License-Identifier: MIT
#include "net/proc.h"

#include <charconv>
#include <fstream>
#include <iterator>

namespace limpid {

std::optional<std::string> proc_text(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::uint64_t proc_number(const std::string& path) {
  const std::string text = proc_text(path).value_or("");
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace limpid
