// SPDX-License-Identifier: MIT
// What is done for a call before the kernel carries it out.
#pragma once
#include "exec/call_listener.h"
#include "exec/permissions.h"

namespace limpid {

// What is read of a caller is not trusted to stay: by the time the kernel carries the call out another thread may have
// put another socket or another address there. All that comes of it is that another socket of the program has become
// what the user has permitted for each of them, or that this one has not.
class CallPreparation {
 public:
  CallPreparation(const CallListener& listener, const Permissions& permissions)
      : listener_(listener), permissions_(permissions) {}

  // Makes the call's socket transparent, or binds it to the source, as the permissions say; nothing where that is not
  // what the call is about: no IP socket, bound already, nonsense that the kernel will refuse by itself. An error's
  // code is what the caller is to be told in place of its call.
  [[nodiscard]] Result<> prepare(const PendingCall& call);

 private:
  // ESRCH if the caller is gone, EBADF if it has no such descriptor.
  [[nodiscard]] std::expected<Fd, int> take_socket(const PendingCall& call);
  [[nodiscard]] Result<> leave_from_source(const PendingCall& call, int socket, int family) const;

  const CallListener& listener_;
  const Permissions& permissions_;
  // Who called last, for calls come in rows. While a thread lives no other has its id, and when it does not its pidfd
  // tells.
  pid_t last_thread_ = 0;
  Fd last_pidfd_;
};

}  // namespace limpid
