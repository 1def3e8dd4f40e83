// SPDX-License-Identifier: MIT
// Is what we installed alive? A connection of our own must come through the rules to the worker and be answered, and
// the kernel must say of each interface that what we mark there is delivered here. An interception that is only half
// there fails silently: a listener without its rule, a rule without its route, another's setting in between.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>

#include "base/result.h"
#include "daemon/worker_keeper.h"
#include "intercept/plan.h"

namespace limpid {

// A refusal names the family and, where there is one, the interface.
boost::asio::awaitable<Result<>> probe_rules(boost::asio::io_context& io, const Plan& plan, WorkerKeeper& worker,
                                             std::chrono::milliseconds patience);

[[nodiscard]] Result<> probe_routes(const Plan& plan);

}  // namespace limpid
