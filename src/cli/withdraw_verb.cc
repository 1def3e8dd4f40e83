// SPDX-License-Identifier: MIT
#include <cstdio>

#include "api/control.h"
#include "cli/verbs.h"
#include "intercept/leftovers.h"

namespace limpid {
namespace {

// The daemon answers when it has drained, which may take as long as its drain_timeout says; should it die, we hear of
// it.
constexpr std::chrono::hours patience(24 * 365);

}  // namespace

int withdraw_verb(const std::string& control_socket, const Config& config) {
  const Result<std::string> answer = ask(control_socket, "withdraw", patience);
  if (answer) return 0;
  if (!is_nobody_there(answer.error())) return refuse(answer.error());
  if (Result<> dead = remove_dead_socket(control_socket); !dead) return refuse(dead.error());

  const Result<Removed> removed = clean_up(config.intercept.own_mark, GuardFate::remove, std::chrono::seconds(2));
  if (!removed) return refuse(removed.error());
  for (const std::string& line : removed->what) std::printf("removed: %s\n", line.c_str());
  if (removed->sockets.destroyed > 0) std::printf("ended: %lu sockets\n", removed->sockets.destroyed);
  for (const Error& error : removed->errors) (void)refuse(error);
  return removed->errors.empty() ? 0 : exit_refused;
}

}  // namespace limpid
