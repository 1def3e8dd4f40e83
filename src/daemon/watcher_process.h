// SPDX-License-Identifier: MIT
// The watcher process: outlives a supervisor that died, takes away what that left, and goes.
#pragma once

namespace limpid {

// `limpid watcher`: takes its orders from channel_fd. Returns the exit status.
int run_watcher();

}  // namespace limpid
