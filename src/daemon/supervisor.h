// SPDX-License-Identifier: MIT
// `limpid run`: owns the kernel state, the listeners, the two other processes, the access log and the control socket.
// Builds them in that order's sense, and takes them down in reverse.
#pragma once
#include <expected>
#include <functional>
#include <string>

#include "config/config.h"
#include "config/source.h"

namespace limpid {

struct RunOptions {
  Config config;
  std::string control_socket;  // empty: none
  // The configuration anew, as the files and the command line have it now.
  std::function<std::expected<Config, ConfigErrors>()> load;
  bool once = false;  // serve one session, and end with it
};

// Serves until SIGTERM, SIGINT or `limpid withdraw`; returns the exit status: 0, or 1 when the world refused, or when
// the upstream refused the one session that was to be served.
[[nodiscard]] int run_supervisor(const RunOptions& options);

}  // namespace limpid
