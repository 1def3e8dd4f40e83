// SPDX-License-Identifier: MIT
// Whose a socket is.
#pragma once
#include <cstdint>
#include <string>

namespace limpid {

// "limpid (pid 4711)"; empty where /proc does not tell. `inode`: as in /proc/PID/fd.
[[nodiscard]] std::string program_with_socket(std::uint32_t inode);

}  // namespace limpid
