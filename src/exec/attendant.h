// SPDX-License-Identifier: MIT
// The process that answers a program's calls. It stands beside the program, not above it: nobody's child, in a session
// of its own, deaf to signals but SIGKILL and SIGSTOP. It ends when nobody is left who could ask it.
#pragma once
#include <sys/types.h>

#include "base/fd.h"
#include "exec/permissions.h"

namespace limpid {

class Attendant {
 public:
  // Starts one for the calling process, which must have no other thread; it keeps this process's capabilities as far as
  // it needs them.
  [[nodiscard]] static Result<Attendant> start(const Permissions& permissions);

  // Gives it the listener of the filter that this process has installed, and waits until it attends. Refused where it
  // may not take descriptors of this process: nor could it take any of the program's.
  [[nodiscard]] Result<> attend_to(const Fd& listener);

 private:
  Attendant(Fd channel, pid_t pid) : channel_(std::move(channel)), pid_(pid) {}
  Fd channel_;
  pid_t pid_;
};

}  // namespace limpid
