// SPDX-License-Identifier: MIT
// `limpid demo`: the main job on real traffic, in three network namespaces of this machine that nothing else can see
// and that vanish with this process.
#pragma once
#include <string>

namespace limpid {

struct DemoOptions {
  std::string program;  // the limpid to show; empty: this very one
};

// Prints what each end saw and checks each claim it makes. Exit status: 0, or 1 if any claim does not hold. Needs root.
// To be called before this process has a second thread.
[[nodiscard]] int run_demo(const DemoOptions& options);

}  // namespace limpid
