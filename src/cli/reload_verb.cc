// SPDX-License-Identifier: MIT
#include <cstdio>

#include "api/control.h"
#include "cli/verbs.h"

namespace limpid {

int reload_verb(const std::string& control_socket, bool enforce) {
  const Result<std::string> answer =
      ask(control_socket, enforce ? "reload enforce" : "reload", std::chrono::seconds(30));
  if (answer) return 0;
  const bool nobody = is_nobody_there(answer.error());
  std::fprintf(stderr, "%s%s\n", nobody ? "limpid: " : "",
               nobody ? nobody_there(control_socket).what.c_str() : answer.error().what.c_str());
  return nobody ? exit_refused : exit_usage;
}

}  // namespace limpid
