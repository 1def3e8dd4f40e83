// SPDX-License-Identifier: MIT
// Text -> settings: a TOML file (limpid.toml(5)) and the command line, which overrides it key by key. All that is wrong
// is told at once. No system calls: load.h reads the file.
#pragma once
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/keys.h"
#include "config/source.h"

namespace limpid {

// A key given on the command line, with the option's values as they were typed.
struct Override {
  const Key* key;  // never null
  // Of a list: each may hold several, separated by commas, and an empty one empties the list. Of a flag: none means
  // true.
  std::vector<std::string> values;
};
using Overrides = std::vector<Override>;

struct Settings {
  Config config;  // what was refused keeps its default
  Origins origins;
  ConfigErrors errors;
};

// Reads, and judges each value by itself. An empty `file_name` stands for no file.
[[nodiscard]] Settings read_settings(std::string_view text, std::string_view file_name, const Overrides& overrides);

// Judges the whole (check.h) and simplifies the lists (normalise.h). Errors come in the order of their lines, those of
// other files behind them, then those without a line. They are of the file even where the command line overrides the
// key.
[[nodiscard]] std::expected<Config, ConfigErrors> judge(Settings settings);

// Both. The files that the settings name are not read (load.h).
[[nodiscard]] std::expected<Config, ConfigErrors> parse_config(std::string_view text, std::string_view file_name,
                                                               const Overrides& overrides);

}  // namespace limpid
