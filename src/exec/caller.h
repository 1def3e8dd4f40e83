// SPDX-License-Identifier: MIT
// What can be had of the process that makes a call. All of it needs what ptrace(2) needs for attaching: the same user
// and no capabilities that we lack, or CAP_SYS_PTRACE; EPERM otherwise. All errors are errnos; ESRCH: it is gone.
#pragma once
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "base/fd.h"

namespace limpid {

// A pidfd of the thread; EINVAL before Linux 6.9.
[[nodiscard]] std::expected<Fd, int> open_thread(pid_t thread);

// One of its process, as /proc knows it.
[[nodiscard]] std::expected<Fd, int> open_process_of(pid_t thread);

// A copy of one of its descriptors, close-on-exec; EBADF where it has none of that number. pidfd_getfd(2)
[[nodiscard]] std::expected<Fd, int> take_descriptor(const Fd& pidfd, int number);

// Fills `into` with what its memory has there, all of it or EFAULT; 0 otherwise. process_vm_readv(2)
[[nodiscard]] int read_memory(pid_t thread, std::uint64_t address, std::span<std::byte> into);

}  // namespace limpid
