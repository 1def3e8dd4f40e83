// SPDX-License-Identifier: MIT
// A program of the user's that runs as long as we do: with our user, environment and terminal.
#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace limpid {

class Command {
 public:
  // execvp(3). That it cannot be executed is an Error. It is told to end (SIGTERM) should this process die first,
  // unless it has changed its user meanwhile (PR_SET_PDEATHSIG).
  [[nodiscard]] static Result<Command> start(const std::vector<std::string>& words);
  Command(Command&& other) noexcept;
  Command& operator=(Command&&) = delete;
  ~Command();  // SIGKILL to one that still runs, and reaps it

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] int pidfd() const { return pidfd_.raw(); }  // readable when it has ended
  [[nodiscard]] bool has_ended() const;
  void signal(int number) const;

  // Reaps one that has ended; once. As a shell says it: its exit status, or 128 and the signal that ended it.
  [[nodiscard]] int status();

 private:
  Command(pid_t pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

  pid_t pid_ = 0;  // 0: reaped, or moved from
  Fd pidfd_;
};

}  // namespace limpid
