// SPDX-License-Identifier: MIT
// Moves the bytes of a session both ways, until both ends have finished or one has failed.
#pragma once
#include "account/close_reason.h"
#include "proxy/task.h"

namespace limpid {

class Session;

// An end of file is passed on as one, and the other direction goes on for as long as it takes; a reset ends both. A
// reader that is slow stops the reading from its peer: what waits is at most one buffer, or one pipe, a direction.
Task<CloseReason> relay(Session& session);

}  // namespace limpid
