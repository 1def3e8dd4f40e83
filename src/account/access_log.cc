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

void append_line(std::string& out, const SessionRecord& record) {
  using namespace std::chrono;
  const auto whole = floor<seconds>(record.time);
  const auto millis = duration_cast<milliseconds>(record.time - whole).count();
  // Nothing here can hold a character that JSON would escape.
  fmt::format_to(std::back_inserter(out),
                 R"({{"time":"{:%Y-%m-%dT%H:%M:%S}.{:03}Z","client":"{}","destination":"{}","source_kept":"{}",)"
                 R"("bytes_up":{},"bytes_down":{},"duration":{:.6f},"reason":"{}"}})"
                 "\n",
                 fmt::gmtime(system_clock::to_time_t(whole)), millis, record.client.text(), record.destination.text(),
                 name_of(record.source_kept), record.bytes_up, record.bytes_down,
                 duration<double>(record.duration).count(), name_of(record.reason));
}

void AccessLog::add(const SessionRecord& record) {
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
