// SPDX-License-Identifier: MIT
// CHECK: we are wrong. Never for anything a peer, a user or the kernel can cause. In release too.
#pragma once
#include <cstdio>
#include <cstdlib>

namespace limpid {
[[noreturn]] inline void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", file, line, condition);
  std::abort();
}
}  // namespace limpid

#define CHECK(condition) ((condition) ? static_cast<void>(0) : ::limpid::check_failed(#condition, __FILE__, __LINE__))
