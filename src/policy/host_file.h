// SPDX-License-Identifier: MIT
// The text of a list of hosts: one name or pattern a line, or hosts(5) lines (an address, then names) as block lists
// have them; '#' begins a comment. Pure.
#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace limpid {

struct HostFileError {
  std::size_t line;    // from 1
  std::size_t column;  // from 1, in bytes
  std::string what;
};

struct HostFileErrors {
  std::vector<HostFileError> first;  // of the first ten
  std::size_t more = 0;              // how many come after them

  [[nodiscard]] bool empty() const { return first.empty(); }
};

// Hands every name and pattern to `add`, in order; what that refuses is an error of its line. In a hosts(5) line names
// of this machine and of its network ("localhost", "ip6-allnodes") are passed over.
HostFileErrors read_host_file(std::string_view text, const std::function<Result<>(std::string_view)>& add);

}  // namespace limpid
