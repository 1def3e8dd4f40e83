// SPDX-License-Identifier: MIT
// The access log: one JSON object a line, gathered by a path thread and written to a pipe whose other end the
// supervisor reads. It never blocks a session: when nobody reads, lines are dropped and counted.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

#include "account/close_reason.h"
#include "account/counters.h"
#include "base/fd.h"
#include "net/address.h"

namespace limpid {

enum class SourceKept : unsigned char { port, address, no };
[[nodiscard]] std::string_view name_of(SourceKept kept);

// One session as the access log tells it. `host`, `rule`, `upstream` and `via` will follow `reason`.
struct SessionRecord {
  std::chrono::system_clock::time_point time;  // of accept
  Endpoint client;
  Endpoint destination;
  SourceKept source_kept = SourceKept::no;
  std::uint64_t bytes_up = 0;    // from the client to the destination
  std::uint64_t bytes_down = 0;  // and back
  std::chrono::nanoseconds duration{};
  CloseReason reason = CloseReason::error;
};

// The line, with its line feed.
void append_line(std::string& out, const SessionRecord& record);

class AccessLog {
 public:
  static constexpr std::size_t most_waiting = 1 << 20;  // bytes

  // `pipe`: a non-blocking write end; none: nothing is logged.
  AccessLog(Fd pipe, Counters& counters) : pipe_(std::move(pipe)), counters_(counters) {}
  void add(const SessionRecord& record);
  // Writes what waits, as far as the pipe takes it.
  void flush();
  [[nodiscard]] bool is_empty() const { return waiting_.empty(); }

 private:
  Fd pipe_;
  Counters& counters_;
  std::string waiting_;
};

}  // namespace limpid
