// SPDX-License-Identifier: MIT
#include <cstdio>

#include "cli/verbs.h"
#include "exec/exec.h"

namespace limpid {

int exec_verb(const ExecOptions& options) {
  const auto refused = [](const std::string& what, int exit_status) {
    std::fprintf(stderr, "limpid: exec: %s\n", what.c_str());
    return exit_status;
  };
  if (options.command.empty())
    return refused("name a program, behind two dashes: limpid exec -- PROGRAM ARGUMENT...", exit_usage);
  Permissions permissions{.bind_any = options.bind_any || !options.source, .source = std::nullopt};
  if (options.source) {
    const Result<Endpoint> source = parse_source_address(*options.source);
    if (!source) return refused("--source: " + source.error().what, exit_usage);
    permissions.source = *source;
  }
  const NotStarted not_started = exec_program(options.command, permissions);
  return refused(not_started.error.what, not_started.exit_status);
}

}  // namespace limpid
