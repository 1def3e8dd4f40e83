// SPDX-License-Identifier: MIT
// What the supervisor tells its processes at their start. Both ends are the same binary.
#pragma once
#include <sys/types.h>

#include <array>
#include <cstdint>

#include "account/counters.h"
#include "daemon/udp_sockets.h"
#include "intercept/plan.h"
#include "net/address.h"
#include "proxy/settings.h"

namespace limpid {

// The worker's account; its group likewise.
struct Account {
  uid_t uid = 0;
  gid_t gid = 0;
};

struct WorkerSettings {
  PathSettings path;
  Account account;
  std::uint32_t threads = 1;  // with TCP; UDP has one of its own
  // The descriptors that follow the policy, in this order: `threads` listeners of each family, as many of each place
  // where the user has one (UserListeners), those of UDP
  // (UdpSockets), an access log pipe a thread if there is a log, and both ends (reading first) of `pipes` pipes.
  std::uint32_t families = 0;
  std::uint32_t places = 0;
  bool has_udp4 = false, has_udp6 = false;
  std::uint32_t segment_sockets = 0;  // that UDP may open beside, a family and direction
  bool has_log = false;
  std::uint32_t pipes = 0;

  [[nodiscard]] std::uint32_t all_threads() const { return threads + (has_udp4 || has_udp6 ? 1 : 0); }
  [[nodiscard]] std::size_t descriptors() const {
    return threads * (families + places) + (has_udp4 ? UdpSockets::of_ipv4 : 0) + (has_udp6 ? UdpSockets::of_ipv6 : 0) +
           (has_log ? all_threads() : 0) + 2 * pipes;
  }
};

// The answer to `report`, and what a worker says by itself as a sign of life.
struct Heartbeat {
  std::uint64_t report = 0;  // the number of the last `report` it has seen: what was sent before that has been obeyed
  CounterValues counters;
};

struct ProbeOrder {
  int family = 0;
  std::uint16_t port = 0;  // of the probe's socket; 0: no probe any more
};

// Comes with a pidfd of the supervisor.
struct WatcherOrders {
  Account account;
  Mark own_mark;
  std::uint8_t protocol = limpid_protocol;  // of Instance, likewise the name, which ends with a zero
  std::array<char, longest_rules_name + 1> name{};
};

}  // namespace limpid
