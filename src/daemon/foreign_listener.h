// SPDX-License-Identifier: MIT
// Is a proxy that is not ours there, and does what is intercepted reach it? What can be known without its help.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "base/result.h"
#include "daemon/waiting.h"
#include "intercept/plan.h"

namespace limpid {

// Whether it listens wherever the plan needs it: in each family, over TCP and UDP as far as the plan takes them, on the
// plan's address or all of them, with transparent sockets. An Error says what is missing, and what to do.
[[nodiscard]] Result<> look_for_listeners(const Plan& plan);

// A connection of our own must come through the rules to its listener, in each family; it ends at once. A proxy sees it
// as one from 127.0.0.1 or ::1 that was reset. Of datagrams nothing can be known but look_for_listeners().
boost::asio::awaitable<Result<>> probe_listener(boost::asio::io_context& io, const Plan& plan, Clock::time_point until);

}  // namespace limpid
