// SPDX-License-Identifier: MIT
// Reads the header of the PROXY protocol that a load balancer sends before its client's stream.
#pragma once
#include <optional>

#include "account/close_reason.h"
#include "proxy/task.h"

namespace limpid {

class Session;

// Takes the header off the socket, and not a byte more; from then on client and destination in session.record are those
// that it tells. One of the balancer's own (LOCAL, UNKNOWN) changes nothing, nor does a listener that wants no header.
// A reason if the session is over: what came is no header, tells of nobody (the unspecified address, port 0, a
// multicast address), or has not come in three seconds.
Task<std::optional<CloseReason>> take_proxy_header(Session& session);

}  // namespace limpid
