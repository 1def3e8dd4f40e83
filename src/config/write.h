// SPDX-License-Identifier: MIT
// Settings -> text, every key: what another process is handed, and what parse.h reads back as the same values.
#pragma once
#include <string>

#include "config/config.h"

namespace limpid {

[[nodiscard]] std::string to_toml(const Config& config);

}  // namespace limpid
