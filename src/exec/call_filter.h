// SPDX-License-Identifier: MIT
// The seccomp filter of a program: some of its system calls wait for an answer of ours (seccomp_unotify(2)). Those of
// other ABIs than the machine's own (32 bits, x32) pass as they are.
#pragma once
#include <cstdint>
#include <vector>

#include "base/fd.h"
#include "exec/permissions.h"

namespace limpid {

class CallFilter {
 public:
  // For what the permissions are about: bind(2) for `bind_any`; for `source` connect(2), and the ways to send to an
  // address. With `source` io_uring_setup(2) is "not implemented", for what goes that way no filter sees.
  [[nodiscard]] static Result<CallFilter> make(const Permissions& permissions);

  // For the calling thread and all that it starts, for good; no new privileges for them either (PR_SET_NO_NEW_PRIVS).
  // Returns where the calls are to be answered, close-on-exec. Needs no capability.
  [[nodiscard]] Result<Fd> install() const;

 private:
  explicit CallFilter(std::vector<std::uint64_t> instructions) : instructions_(std::move(instructions)) {}
  std::vector<std::uint64_t> instructions_;  // struct sock_filter each
};

}  // namespace limpid
