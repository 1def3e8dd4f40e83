// SPDX-License-Identifier: MIT
// The configuration: whatever the file and the command line hold, the answer is either errors of one line each or
// settings that are written and read back as the same. Input: the file; after a zero byte, options as "key=value"
// lines.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "config/normalise.h"
#include "config/parse.h"
#include "config/write.h"

namespace limpid {
namespace {

Overrides overrides_of(std::string_view lines) {
  Overrides overrides;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(lines.size(), line.size() + 1));
    const std::size_t equals = line.find('=');
    const Key* key = find_key(line.substr(0, equals));
    if (key == nullptr) continue;
    overrides.push_back({key, {}});
    if (equals != std::string_view::npos) overrides.back().values.emplace_back(line.substr(equals + 1));
  }
  return overrides;
}

void check_answer(std::string_view file, const Overrides& overrides) {
  const auto config = parse_config(file, "file", overrides);
  if (!config) {
    CHECK(!config.error().empty());
    for (const ConfigError& error : config.error()) CHECK(error.text().find('\n') == std::string::npos);
    return;
  }
  const auto again = parse_config(to_toml(*config), "written", {});
  CHECK(again && *again == *config);
  CHECK(normalise(*config) == *config);
}

}  // namespace
}  // namespace limpid

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(size, input.find('\0'));
  limpid::check_answer(input.substr(0, end), limpid::overrides_of(input.substr(std::min(size, end + 1))));
  return 0;
}
