// SPDX-License-Identifier: MIT
// What nftables does with packets that carry `meta nftrace 1`, rule by rule, as the kernel tells it (nft(8), monitor
// trace). In the network namespace of the thread that opened it. CAP_NET_ADMIN.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace limpid {

struct TraceEvent {
  enum class Kind { rule, returned, policy };  // a rule matched; a chain went back to its caller; a base chain's policy

  std::uint32_t packet = 0;  // which: its events have the same number
  std::string family;        // of the table: "inet"
  std::string table;
  std::string chain;
  Kind kind = Kind::rule;
  std::uint64_t handle = 0;  // of the rule
  std::string verdict;       // "accept", "drop", "continue", "jump syn"
  std::uint32_t mark = 0;    // the packet's, when this had been done
  bool operator==(const TraceEvent&) const = default;
};

class NftTrace {
 public:
  [[nodiscard]] static Result<NftTrace> open();

  // The events that come until `is_last` says so of one, which is among them, or the time is over: no error.
  [[nodiscard]] Result<std::vector<TraceEvent>> read(const std::function<bool(const TraceEvent&)>& is_last,
                                                     std::chrono::milliseconds patience);

 private:
  explicit NftTrace(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace limpid
