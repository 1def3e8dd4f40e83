// SPDX-License-Identifier: MIT
#include "account/access_log.h"

#include <fmt/chrono.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>

namespace limpid {

std::string_view name_of(SourceKept kept) {
  switch (kept) {
    case SourceKept::port:
      return "port";
    case SourceKept::address:
      return "address";
    case SourceKept::no:
      return "no";
  }
  return "no";
}

void append_line(std::string& out, const AccessRecord& record) {
  using namespace std::chrono;
  const auto whole = floor<seconds>(record.time);
  const auto millis = duration_cast<milliseconds>(record.time - whole).count();
  const bool udp = record.protocol == Protocol::udp;
  const auto down = [&](std::uint64_t count) { return record.down_is_known ? std::to_string(count) : "null"; };
  // Nothing here can hold a character that JSON would escape.
  fmt::format_to(std::back_inserter(out),
                 R"({{"time":"{:%Y-%m-%dT%H:%M:%S}.{:03}Z","proto":"{}","client":"{}","destination":"{}",)"
                 R"("source_kept":"{}",)",
                 fmt::gmtime(system_clock::to_time_t(whole)), millis, udp ? "udp" : "tcp", record.client.text(),
                 record.destination.text(), name_of(record.source_kept));
  if (udp)
    fmt::format_to(std::back_inserter(out), R"("datagrams_up":{},"datagrams_down":{},)", record.datagrams_up,
                   down(record.datagrams_down));
  fmt::format_to(std::back_inserter(out), R"("bytes_up":{},"bytes_down":{},"duration":{:.6f},"via":"{}",)",
                 record.bytes_up, down(record.bytes_down), duration<double>(record.duration).count(),
                 record.via == Via::relay ? "relay" : "kernel");
  const auto name = [&](std::string_view key, std::string_view value) {
    if (value.empty())
      fmt::format_to(std::back_inserter(out), R"("{}":null,)", key);
    else
      fmt::format_to(std::back_inserter(out), R"("{}":"{}",)", key, value);
  };
  name("app", record.app ? name_of(*record.app) : "");
  name("host", record.host);
  name("listener", record.listener);
  name("rule", record.rule);
  name("upstream", record.upstream);
  fmt::format_to(std::back_inserter(out),
                 R"("reason":"{}"}})"
                 "\n",
                 name_of(record.reason));
}

void AccessLog::add(const AccessRecord& record) {
  if (!pipe_.is_open()) return;
  if (waiting_.size() >= most_waiting) {
    counters_.log_lines_lost.add(1);
    return;
  }
  append_line(waiting_, record);
}

void AccessLog::flush() {
  while (!waiting_.empty()) {
    const ssize_t n = ::write(pipe_.raw(), waiting_.data(), waiting_.size());
    if (n > 0) {
      waiting_.erase(0, static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      return;  // kept for the next turn
    } else if (errno != EINTR) {
      // The supervisor is gone, and so shall we be: nobody will read this.
      waiting_.clear();
      pipe_.close();
    }
  }
}

}  // namespace limpid
