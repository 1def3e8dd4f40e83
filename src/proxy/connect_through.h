// SPDX-License-Identifier: MIT
// Connects by way of one of the user's upstreams: a SOCKS5 or HTTP proxy, or one place for all.
#pragma once
#include <optional>

#include "account/close_reason.h"
#include "policy/flow.h"
#include "proxy/task.h"

namespace limpid {

class Session;

// Opens session.upstream through `upstream` (its place in the session's policy), from one address of it to the next as
// long as no byte of the client's has gone there; a reason if it cannot be had: `dropped` where the client is to be
// left without an answer.
Task<std::optional<CloseReason>> connect_through(Session& session, const Flow& flow, std::uint32_t upstream);

}  // namespace limpid
