// SPDX-License-Identifier: MIT
// What the path counts. Each path thread writes counters of its own with relaxed stores; whoever asks sums them up.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>

#include "account/close_reason.h"

namespace limpid {

// A sum at one moment; crosses from the worker to the supervisor as it is.
struct CounterValues {
  std::uint64_t sessions = 0;  // alive now; everything else only grows
  std::uint64_t accepted = 0;
  std::uint64_t source_port_kept = 0;
  std::uint64_t source_address_kept = 0;
  std::uint64_t source_not_kept = 0;
  std::uint64_t port_unavailable = 0;     // a step of the ladder that failed: the client's port could not be had
  std::uint64_t address_unavailable = 0;  // nor its address
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
  std::uint64_t log_lines_lost = 0;
  std::uint64_t accept_pauses = 0;  // times a listener stopped accepting for want of descriptors or memory
  std::array<std::uint64_t, close_reasons> closed{};
  // UDP
  std::uint64_t flows = 0;  // relayed now
  std::uint64_t flows_seen = 0;
  std::uint64_t datagrams_up = 0;
  std::uint64_t datagrams_down = 0;
  std::uint64_t payload_up = 0;  // bytes
  std::uint64_t payload_down = 0;
  std::uint64_t evicted_table = 0;    // flows whose place was needed
  std::uint64_t evicted_client = 0;   // likewise: their client had as many as it may
  std::uint64_t send_refused = 0;     // datagrams that the kernel would not send
  std::uint64_t answers_refused = 0;  // datagrams of upstreams: malformed, fragments, or not from the destination
  std::uint64_t datagrams_dropped =
      0;  // lost here: the kernel's, as we were too slow; undecided ones, for want of room
  // DNS, where a rule verifies hosts
  std::uint64_t dns_names = 0;    // of all clients, known now; no thread counts them
  std::uint64_t dns_answers = 0;  // to questions that were seen
  std::uint64_t dns_ignored = 0;  // to others
  std::uint64_t dns_evicted = 0;  // names whose place was needed

  CounterValues& operator+=(const CounterValues& other);
};

// One thread writes, others read.
class Counter {
 public:
  void add(std::uint64_t n) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  void subtract(std::uint64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
  }
  void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct Counters {
  Counter sessions, accepted, source_port_kept, source_address_kept, source_not_kept, port_unavailable,
      address_unavailable, bytes_up, bytes_down, log_lines_lost, accept_pauses;
  Counter flows, flows_seen, datagrams_up, datagrams_down, payload_up, payload_down, evicted_table, evicted_client,
      send_refused, answers_refused, datagrams_dropped;
  Counter dns_answers, dns_ignored, dns_evicted;
  std::array<Counter, close_reasons> closed;

  [[nodiscard]] CounterValues values() const;
};

}  // namespace limpid
