// SPDX-License-Identifier: MIT
// The access log: one JSON object a line, gathered by a path thread and written to a pipe whose other end the
// supervisor reads. It never blocks a session: when nobody reads, lines are dropped and counted.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "account/close_reason.h"
#include "account/counters.h"
#include "base/fd.h"
#include "policy/application.h"
#include "policy/flow.h"

namespace limpid {

enum class SourceKept : unsigned char { port, address, no };
[[nodiscard]] std::string_view name_of(SourceKept kept);

enum class Via : unsigned char { relay, kernel };

// One session, or one UDP flow, as the access log tells it. The names are JSON as they are (parse_name() in
// config/value.h, parse_host_pattern() in policy/host_table.h); where they are empty the log says null.
struct AccessRecord {
  std::chrono::system_clock::time_point time;  // of accept, or of the first datagram
  Protocol protocol = Protocol::tcp;
  Endpoint client;
  Endpoint destination;
  SourceKept source_kept = SourceKept::no;
  std::uint64_t datagrams_up = 0;  // of UDP: from the client to the destination
  std::uint64_t datagrams_down = 0;
  bool down_is_known = true;   // not of this machine's own UDP flows, as long as the kernel has not got them
  std::uint64_t bytes_up = 0;  // of the stream, or of the datagrams' payloads
  std::uint64_t bytes_down = 0;
  std::chrono::nanoseconds duration{};
  Via via = Via::relay;              // the kernel: handed over to it, if only for the last part
  std::optional<Application> app{};  // nothing: its first bytes were not looked at
  std::string_view host{};           // that the client claims to mean
  std::string_view listener{};       // of the user's, by which it came; empty: it was intercepted
  std::string_view rule{};           // that has decided
  std::string_view upstream{};       // that it went through
  CloseReason reason = CloseReason::error;
};

// The line, with its line feed.
void append_line(std::string& out, const AccessRecord& record);

class AccessLog {
 public:
  static constexpr std::size_t most_waiting = 1 << 20;  // bytes

  // `pipe`: a non-blocking write end; none: nothing is logged.
  AccessLog(Fd pipe, Counters& counters) : pipe_(std::move(pipe)), counters_(counters) {}
  void add(const AccessRecord& record);
  // Writes what waits, as far as the pipe takes it.
  void flush();
  [[nodiscard]] bool is_empty() const { return waiting_.empty(); }

 private:
  Fd pipe_;
  Counters& counters_;
  std::string waiting_;
};

}  // namespace limpid
