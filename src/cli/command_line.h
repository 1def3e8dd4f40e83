// SPDX-License-Identifier: MIT
// The command line: a table of verbs. limpid(8) tells what they do.
#pragma once

namespace limpid {

// Returns the exit status (cli/verbs.h).
[[nodiscard]] int run_command_line(int argc, char** argv);

}  // namespace limpid
