// SPDX-License-Identifier: MIT
// The one part of the configuration that reads files: the configuration itself, and those that it names.
#pragma once
#include <expected>
#include <optional>
#include <string>

#include "config/parse.h"

namespace limpid {

// parse_config() of a file, or of none: then the command line says it all. Lists of names and passwords are read, and
// judged, as well.
[[nodiscard]] std::expected<Config, ConfigErrors> load_config(const std::optional<std::string>& path,
                                                              const Overrides& overrides);

// The same of a text; `name` stands for the file in errors.
[[nodiscard]] std::expected<Config, ConfigErrors> load_config_text(const std::string& text, const std::string& name,
                                                                   const Overrides& overrides = {});

}  // namespace limpid
