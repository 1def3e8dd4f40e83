// SPDX-License-Identifier: MIT
// Is what we installed alive? A connection of our own must come through the rules to the worker and be answered, and
// the kernel must say of each interface that what we mark there is delivered here. An interception that is only half
// there fails silently: a listener without its rule, a rule without its route, another's setting in between.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>

#include "base/fd.h"
#include "base/result.h"
#include "daemon/worker_keeper.h"
#include "intercept/plan.h"

namespace limpid {

// A refusal names the family and, where there is one, the interface.
boost::asio::awaitable<Result<>> probe_rules(boost::asio::io_context& io, const Plan& plan, WorkerKeeper& worker,
                                             std::chrono::milliseconds patience);

[[nodiscard]] Result<> probe_routes(const Plan& plan);

// A socket that a local program could have, but for the mark that the output chain would have given its packets; and a
// connection from it to where nobody is (probe_destination()), not waited for.
[[nodiscard]] Result<Fd> open_probe(int family, Mark mark);
[[nodiscard]] Result<> ask_by_connecting(int fd, const Endpoint& to);

}  // namespace limpid
