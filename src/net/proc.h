// SPDX-License-Identifier: MIT
// Files of /proc as text and as numbers: of the calling thread's network namespace, where there is a choice.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace limpid {

// Nothing where the kernel has no such file (a module not loaded, a family switched off), or we may not read it.
[[nodiscard]] std::optional<std::string> proc_text(const std::string& path);

// The number that it begins with; 0 if there is none.
[[nodiscard]] std::uint64_t proc_number(const std::string& path);

}  // namespace limpid
