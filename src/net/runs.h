// SPDX-License-Identifier: MIT
// Puts those of many datagrams side by side that can leave as one: of one flow, of one size but for the last, and alike
// in everything else (UDP_SEGMENT, udp(7)). The order within a flow stays. Pure.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "net/datagram.h"

namespace limpid {

struct Run {
  std::size_t first = 0;  // place in order()
  std::size_t count = 0;
  bool follows = false;  // it is not the first of its flow
};

class Runs {
 public:
  static constexpr std::size_t most = 512;           // datagrams that can be looked at together
  static constexpr std::size_t longest = 64;         // UDP_MAX_SEGMENTS in include/linux/udp.h, at its least
  static constexpr std::size_t most_bytes = 60'000;  // of a run: they travel in one packet inside the kernel

  // At most `most`. Runs are those of the last call.
  std::span<const Run> find(std::span<const Datagram> datagrams);
  // The places of the datagrams, run by run.
  [[nodiscard]] std::span<const std::uint16_t> order() const { return order_; }

 private:
  static constexpr std::size_t slots = 4 * most;

  std::uint16_t flow_of(std::span<const Datagram> datagrams, std::uint16_t at);

  std::vector<Run> runs_;
  std::vector<std::uint16_t> order_;
  std::vector<std::uint16_t> first_of_flow_;  // its first datagram, by slot
  std::vector<std::uint16_t> flow_;           // of each datagram: its flow's first
  std::vector<std::uint16_t> next_;           // the next one of the same flow
  std::vector<std::uint16_t> last_;           // of each flow's first: the last so far
};

}  // namespace limpid
