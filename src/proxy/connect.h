// SPDX-License-Identifier: MIT
// Connects to the destination as the client: its address and port where they can be had.
#pragma once
#include <optional>

#include "account/close_reason.h"
#include "policy/policy.h"
#include "proxy/task.h"

namespace limpid {

class Session;

// Opens session.upstream; a reason if it cannot be had. Fills record.source_kept and counts the steps of the ladder:
// the client's address and port; its address and any port; refuse.
Task<std::optional<CloseReason>> connect_as_client(Session& session, const Flow& flow);

// What a failed connect(2) means (connect(2), icmp(7)).
[[nodiscard]] CloseReason connect_reason(int error);

}  // namespace limpid
