// SPDX-License-Identifier: MIT
// What each process may still do (docs/threat-model.md). Each calls its own once, as its only thread, before it reads
// anything from outside.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/orders.h"

namespace limpid {

// What a supervisor cannot do without: CAP_NET_ADMIN and so on (capabilities(7)).
struct Capability {
  unsigned number;
  std::string name;
};
[[nodiscard]] std::vector<Capability> needed_capabilities();

// The capabilities named in the threat model, and nothing above them ever again.
[[nodiscard]] Result<> confine_supervisor();

// Another uid, CAP_NET_RAW and CAP_NET_BIND_SERVICE alone, no new privileges, not dumpable, a system call allow-list;
// dies with the supervisor.
[[nodiscard]] Result<> confine_worker(const Account& account);

// Another uid, CAP_NET_ADMIN alone, no new privileges, not dumpable.
[[nodiscard]] Result<> confine_watcher(const Account& account);

// File descriptors this process may open, raised to the hard limit.
[[nodiscard]] Result<std::uint64_t> raise_descriptor_limit();

}  // namespace limpid
