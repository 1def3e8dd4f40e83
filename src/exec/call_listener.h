// SPDX-License-Identifier: MIT
// System calls that wait for an answer: seccomp_unotify(2). What a call says is copied once; its caller may be killed
// at any time, and its thread id may be another thread's from then on.
#pragma once
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>

#include "base/fd.h"

namespace limpid {

struct PendingCall {
  std::uint64_t id = 0;
  pid_t thread = 0;  // as this process sees it
  int number = 0;    // SYS_bind and the like
  std::array<std::uint64_t, 6> arguments{};
};

class CallListener {
 public:
  explicit CallListener(Fd fd);

  // Waits for the next one. Nothing if its caller has been killed meanwhile, or if nobody is left (Linux 6.11).
  [[nodiscard]] std::optional<PendingCall> next() const;
  // Does the caller still wait? Then what its thread id has led to until now was the caller's.
  [[nodiscard]] bool is_pending(const PendingCall& call) const;
  // The kernel carries it out, with the arguments as they are by then.
  void let_through(const PendingCall& call) const;
  // The caller is told this errno, and nothing happens.
  void refuse(const PendingCall& call, int refusal) const;

  // For poll(2): POLLHUP, nobody is left who could make a call.
  [[nodiscard]] int raw() const { return fd_.raw(); }

 private:
  Fd fd_;
};

}  // namespace limpid
