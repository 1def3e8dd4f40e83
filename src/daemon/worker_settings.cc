// SPDX-License-Identifier: MIT
#include "daemon/worker_settings.h"

#include <algorithm>
#include <thread>

namespace limpid {
namespace {

// Descriptors that are no session's: the channel, what libraries hold, a margin.
constexpr std::uint64_t reserved_descriptors = 128;
// Of each thread: two listeners, a log, an epoll set, an eventfd; listeners in place of dead ones.
constexpr std::uint64_t descriptors_a_thread = 8;
constexpr unsigned most_threads = 64;

}  // namespace

unsigned path_threads() { return std::clamp(std::thread::hardware_concurrency(), 1U, most_threads); }

std::uint32_t segment_sockets(std::uint64_t descriptors) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(descriptors / 64, 256));
}

std::uint64_t session_budget(std::uint64_t descriptors, std::uint64_t others) {
  const std::uint64_t taken = reserved_descriptors + others + descriptors_a_thread * path_threads();
  return descriptors > taken + 2 ? (descriptors - taken) / 2 : 1;
}

PathSettings path_settings(const Config& config, std::uint64_t most_sessions, const ListenerPorts& ports) {
  const std::uint64_t wanted = config.limits.sessions;
  // Where nothing is installed nothing looks at our mark, but for another limpid that may be there.
  return {.own_mark = wants_kernel(config) ? config.intercept.own_mark : Mark{},
          .accepted_mark = config.intercept.own_mark.with(config.intercept.mark),
          .ports = {ports.ipv4, ports.ipv6},
          .source = config.transparency.source,
          .require_port = config.transparency.keep_port == KeepPort::require,
          .local = config.intercept.local,
          .sessions_max = static_cast<std::int64_t>(wanted == 0 ? most_sessions : std::min(wanted, most_sessions)),
          .connect_timeout = config.limits.connect_timeout,
          .identify_timeout = config.limits.identify_timeout,
          .idle_timeout = config.limits.idle_timeout,
          .half_closed_timeout = config.limits.half_closed_timeout,
          .udp = {.flows = config.limits.udp_flows,
                  .flows_per_client = config.limits.udp_flows_per_client,
                  .unanswered_timeout = config.limits.unanswered_timeout,
                  .answered_timeout = config.limits.answered_timeout},
          .verify_host_grace = config.limits.verify_host_grace,
          .handover = config.transparency.handover == Handover::automatic};
}

}  // namespace limpid
