// SPDX-License-Identifier: MIT
// `limpid exec`: a program that is as its author made it, whose sockets may stand at addresses that are not this
// machine's.
//
//   this process        becomes the program: same pid, parent, terminal, descriptors, environment, user
//    +- an attendant    answers its calls (exec/attendant.h), and those of all that it starts
#pragma once
#include <string>
#include <vector>

#include "exec/permissions.h"

namespace limpid {

// The exit statuses of env(1) and its like.
inline constexpr int exit_not_prepared = 125;
inline constexpr int exit_not_executable = 126;
inline constexpr int exit_not_found = 127;

struct NotStarted {
  Error error;
  int exit_status;
};

// Becomes the program, found by PATH: returns only if that is refused. `command`: it and its arguments, one at least.
// This process must have no other thread. Needs CAP_NET_RAW or CAP_NET_ADMIN, which the program does not get, unless
// its user is root; it can get no new privileges (PR_SET_NO_NEW_PRIVS).
[[nodiscard]] NotStarted exec_program(const std::vector<std::string>& command, const Permissions& permissions);

}  // namespace limpid
