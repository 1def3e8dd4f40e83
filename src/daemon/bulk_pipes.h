// SPDX-License-Identifier: MIT
// The large pipes that workers splice bulk through. The supervisor keeps them from worker to worker.
#pragma once
#include <vector>

#include "base/fd.h"

namespace limpid {

class BulkPipes {
 public:
  // As many as the kernel gives in that size: without CAP_SYS_RESOURCE and CAP_SYS_ADMIN it stops at 64 (pipe(7),
  // pipe-user-pages-soft), so this comes before the capabilities are given up.
  static BulkPipes open(std::size_t count);

  // Both ends of each, the reading one first. No worker may be alive: what a dead one left in them is thrown away.
  [[nodiscard]] std::vector<int> emptied() const;
  [[nodiscard]] std::size_t count() const { return ends_.size() / 2; }

 private:
  std::vector<Fd> ends_;
};

}  // namespace limpid
