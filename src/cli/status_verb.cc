// SPDX-License-Identifier: MIT
#include <cstdio>

#include "api/control.h"
#include "api/status.h"
#include "cli/verbs.h"

namespace limpid {

int status_verb(const std::string& control_socket, bool as_json) {
  const Result<std::string> answer = ask(control_socket, "status", std::chrono::seconds(5));
  if (!answer && is_nobody_there(answer.error())) {
    std::fprintf(stderr, "limpid: %s\n", nobody_there(control_socket).what.c_str());
    return exit_refused;
  }
  const Result<std::string> text = !answer || as_json ? answer : status_for_people(*answer);
  if (!text) {
    std::fprintf(stderr, "limpid: %s\n", text.error().what.c_str());
    return exit_refused;
  }
  std::fputs(text->c_str(), stdout);
  if (as_json) std::fputc('\n', stdout);
  return 0;
}

}  // namespace limpid
