// SPDX-License-Identifier: MIT
#include "daemon/bulk_pipes.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>

namespace limpid {
namespace {
// Large enough to move bulk at the speed of forwarding.
constexpr int pipe_bytes = 1 << 20;
}  // namespace

BulkPipes BulkPipes::open(std::size_t count) {
  BulkPipes pipes;
  while (pipes.count() < count) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) break;
    Fd read_end(ends[0]), write_end(ends[1]);
    if (::fcntl(write_end.raw(), F_SETPIPE_SZ, pipe_bytes) < pipe_bytes) break;
    pipes.ends_.push_back(std::move(read_end));
    pipes.ends_.push_back(std::move(write_end));
  }
  return pipes;
}

std::vector<int> BulkPipes::emptied() const {
  std::vector<int> descriptors;
  std::array<char, 64 * 1024> nowhere;
  for (std::size_t i = 0; i < ends_.size(); i += 2)
    while (::read(ends_[i].raw(), nowhere.data(), nowhere.size()) > 0) continue;
  for (const Fd& end : ends_) descriptors.push_back(end.raw());
  return descriptors;
}

}  // namespace limpid
