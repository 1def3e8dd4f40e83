// SPDX-License-Identifier: MIT
#include <cstdio>

#include "api/control.h"
#include "api/flows.h"
#include "cli/verbs.h"
#include "policy/flow_filter.h"

namespace limpid {
namespace {

constexpr std::chrono::seconds answer_patience(30);

}  // namespace

int flows_verb(const std::string& control_socket, bool as_json, const std::optional<std::string>& take_back) {
  if (take_back) {
    if (const Result<FlowFilter> filter = FlowFilter::parse(*take_back); !filter) {
      return refuse(filter.error().in("--take-back"), exit_usage);
    }
  }
  const Result<std::string> answer =
      ask(control_socket, take_back ? "take-back " + *take_back : "flows", answer_patience);
  if (!answer) return refuse(is_nobody_there(answer.error()) ? nobody_there(control_socket) : answer.error());
  if (take_back) {
    std::printf("%s flow%s taken back\n", answer->c_str(), *answer == "1" ? "" : "s");
    return 0;
  }
  const Result<std::string> text = as_json ? *answer + "\n" : flows_for_people(*answer);
  if (!text) return refuse(text.error());
  std::fputs(text->c_str(), stdout);
  return 0;
}

}  // namespace limpid
