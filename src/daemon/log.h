// SPDX-License-Identifier: MIT
// The supervisor's messages, a line each, to standard error.
#pragma once
#include "config/config.h"

namespace limpid {

void log_to_stderr(LogLevel level);
void set_log_level(LogLevel level);

}  // namespace limpid
