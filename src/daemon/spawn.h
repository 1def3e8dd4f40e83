// SPDX-License-Identifier: MIT
// Starts a process of ours: this same binary, exec'd, so that it inherits nothing but its channel. (A child that were
// only forked would keep the netlink socket of the owner table open, and with it the table.)
#pragma once
#include <sys/types.h>

#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "daemon/channel.h"

namespace limpid {

// Where a child finds its channel.
inline constexpr int channel_fd = 3;

struct Child {
  pid_t pid = 0;
  Fd pidfd;  // readable when it has ended
  Channel channel;
};

// `verb`: of the command line, "worker" or "watcher".
[[nodiscard]] Result<Child> spawn(const std::string& verb);

// SIGKILL, and reaps it. Fine with one that has been reaped already.
void kill_and_reap(Child& child);

// How a child of ours that has ended did so, for people: "exit status 1", "signal 9 (Killed)". Reaps it; at most once.
[[nodiscard]] std::string reap(Child& child);

}  // namespace limpid
