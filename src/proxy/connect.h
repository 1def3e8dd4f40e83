// SPDX-License-Identifier: MIT
// Connects to the destination as the client: its address and port where they can be had.
#pragma once
#include <optional>

#include "account/access_log.h"
#include "policy/flow.h"
#include "policy/rule.h"
#include "proxy/task.h"

namespace limpid {

class Session;

// Opens session.upstream; a reason if it cannot be had. Fills record.source_kept and counts the steps of the ladder:
// the client's address and port; its address and any port; refuse. What came by a listener of the user's does not go to
// this machine itself: `loop`.
Task<std::optional<CloseReason>> connect_as_client(Session& session, const Flow& flow);

// The client's first bytes, if they have come already, may go with the SYN (TCP Fast Open, RFC 7413).
enum class FirstBytes : bool { later, with_the_syn };

// The same to any address, in the name of `source`. 0: connected; else errno, but -1 where the session is
// ending or its time is over. First bytes stay the client's until it is connected.
Task<int> connect_from(Session& session, Source source, const Endpoint& to, FirstBytes first_bytes);

// A failure of connect(2), or of what comes before it, that says nothing about the other end: descriptors and memory, a
// source that cannot be had.
[[nodiscard]] bool is_our_own(int error);

// What a failed connect_from() means (connect(2), icmp(7)).
[[nodiscard]] CloseReason connect_reason(int error);

}  // namespace limpid
