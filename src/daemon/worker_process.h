// SPDX-License-Identifier: MIT
// The worker process: the path, confined. Its first thread talks to the supervisor, the others serve.
#pragma once

namespace limpid {

// `limpid worker`: takes its settings and descriptors from channel_fd. Returns the exit status.
int run_worker();

}  // namespace limpid
