// SPDX-License-Identifier: MIT
// Waits for what a client says first and looks at it, without taking it away: the relay finds it as it came.
#pragma once
#include "identify/identify.h"
#include "proxy/task.h"

namespace limpid {

class Session;

// At the latest when identify_timeout is over: `unknown` then, as it is for a client that ends before.
Task<Identity> identify(Session& session);

}  // namespace limpid
