// SPDX-License-Identifier: MIT
// What the daemon tells of itself, as JSON and for people.
#pragma once
#include <string>
#include <vector>

#include "account/counters.h"
#include "base/result.h"

namespace limpid {

struct UpstreamStatus {
  struct Address {
    std::string address;
    std::string state = "unknown";  // "up", "down" or "refuses"; unknown: there is no worker to tell
    std::uint64_t sessions = 0;     // now, associations and UDP flows among them
    std::uint64_t failures = 0;     // of sessions and checks, for which it was left out, since the worker's start
  };
  std::string name;
  std::vector<Address> addresses;
};

struct Status {
  std::string state;  // "starting", "ready", "no_worker" or "draining"
  std::string version;
  long supervisor_pid = 0;
  long worker_pid = 0;  // 0: there is none at the moment
  long watcher_pid = 0;
  std::uint64_t sessions_max = 0;
  std::uint64_t worker_restarts = 0;
  CounterValues counters;
  std::uint64_t kernel_flows = 0;  // UDP flows that the kernel forwards now
  std::uint64_t handed_over = 0;   // to it, since the start
  std::uint64_t taken_back = 0;
  bool taking = false, zones = false, early = false, cookies = false;
  std::vector<UpstreamStatus> upstreams{};
  std::vector<std::string> installed;  // lines in ip(8)'s and nft(8)'s words
  std::vector<std::string> degraded;   // what is less than it could be, and what to do: a sentence each
};

[[nodiscard]] std::string to_json(const Status& status);  // one line
// The JSON of to_json() as text for a terminal; an Error if it is not that.
[[nodiscard]] Result<std::string> status_for_people(const std::string& json);

}  // namespace limpid
