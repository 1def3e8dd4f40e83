// SPDX-License-Identifier: MIT
// Asks the upstreams' addresses from time to time whether they accept a connection, so that a session need not find out
// that one does not, or does again. On one path thread, for all.
#pragma once
#include <memory>
#include <random>
#include <vector>

#include "proxy/path_policy.h"
#include "proxy/reactor.h"

namespace limpid {

class Worker;

class HealthChecks {
 public:
  explicit HealthChecks(Worker& worker);
  ~HealthChecks();

  // The worker's policy is another: its upstreams are asked from now on, the first time after an interval. Not while
  // events are dispatched.
  void adopt();
  // Once a turn of the loop.
  void settle();
  [[nodiscard]] Reactor::Clock::time_point next_deadline(Reactor::Clock::time_point otherwise) const;

 private:
  struct Check;
  // Up to a fifth sooner or later, so that many limpids do not ask at one moment.
  [[nodiscard]] Reactor::Clock::time_point next_time(std::chrono::milliseconds interval);

  Worker& worker_;
  std::minstd_rand chance_{std::random_device{}()};
  std::vector<std::unique_ptr<Check>> checks_;  // one for each address
};

}  // namespace limpid
