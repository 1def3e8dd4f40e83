// SPDX-License-Identifier: MIT
// What a start needs before anything of the machine is touched, and what can be refused until then: descriptors,
// capabilities, the access log, the worker's account, sockets, and a look at what others have installed.
#pragma once
#include <boost/asio/io_context.hpp>
#include <memory>

#include "daemon/access_sink.h"
#include "daemon/bulk_pipes.h"
#include "daemon/interception.h"
#include "daemon/kernel_flows.h"
#include "daemon/listeners.h"
#include "daemon/orders.h"
#include "daemon/udp_sockets.h"
#include "daemon/user_listeners.h"

namespace limpid {

// First in, last out.
struct Preparation {
  BulkPipes pipes;
  std::unique_ptr<AccessSink> access_sink;
  std::unique_ptr<Listeners> listeners;
  UserListeners user_listeners;
  UdpSockets udp;
  Fd policy;  // policy_file.h
  WorkerSettings worker;
  std::uint64_t most_sessions = 0;             // that this machine has descriptors for
  std::unique_ptr<Interception> interception;  // surveyed, not installed
  std::unique_ptr<KernelFlows> kernel_flows;
};

// The plan for another configuration; sockets and accounts stay what they are.
[[nodiscard]] Result<Plan> plan_for(const Config& config, Plan plan);

// Gives up the capabilities that a supervisor does not need.
[[nodiscard]] Result<Preparation> prepare(boost::asio::io_context& io, const Config& config);

}  // namespace limpid
