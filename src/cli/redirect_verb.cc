// SPDX-License-Identifier: MIT
#include <cstdio>

#include "cli/verbs.h"
#include "daemon/supervisor.h"

namespace limpid {

int redirect_verb(const RedirectOptions& options, const std::string& control_socket) {
  const Result<Config> config = redirect_config(options);
  if (!config) {
    std::fprintf(stderr, "limpid: %s\n", config.error().what.c_str());
    return exit_usage;
  }
  return run_supervisor({.config = *config,
                         .control_socket = control_socket,
                         .load = [&] { return std::expected<Config, ConfigErrors>(*config); },
                         .once = !options.loop});
}

}  // namespace limpid
