// SPDX-License-Identifier: MIT
// What is done for a call before the kernel carries it out.
#pragma once
#include "exec/call_listener.h"
#include "exec/permissions.h"

namespace limpid {

// Makes the call's socket transparent, or binds it to the source, as the permissions say; nothing where that is not
// what the call is about: no IP socket, bound already, nonsense that the kernel will refuse by itself. An error's code
// is what the caller is to be told in place of its call.
//
// What is read of the caller is not trusted to stay: by the time the kernel carries the call out another thread may
// have put another socket or another address there. All that comes of it is that another socket of the program has
// become what the user has permitted for each of them, or that this one has not.
[[nodiscard]] Result<> prepare(const CallListener& listener, const PendingCall& call, const Permissions& permissions);

}  // namespace limpid
