// SPDX-License-Identifier: MIT
// Datagrams of one flow that wait until it is known where they go.
#pragma once
#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "net/datagram.h"

namespace limpid {

class HeldDatagrams {
 public:
  static constexpr std::size_t most_bytes = 64 * 1024;
  static constexpr std::size_t most_bytes_in_all = 16 * 1024 * 1024;

  struct Held {
    Datagram datagram;  // its payload is `bytes`
    std::vector<char> bytes;
  };

  // `in_all`: what all of them hold; it outlives them.
  explicit HeldDatagrams(std::size_t& in_all) : in_all_(in_all) {}
  HeldDatagrams(const HeldDatagrams&) = delete;
  HeldDatagrams& operator=(const HeldDatagrams&) = delete;
  ~HeldDatagrams() { in_all_ -= bytes_; }

  // There is room for it in this flow, if not in all.
  [[nodiscard]] bool fits(const Datagram& datagram) const { return bytes_ + cost(datagram) <= most_bytes; }
  // False: there is no room for it.
  [[nodiscard]] bool hold(const Datagram& datagram) {
    const std::size_t size = cost(datagram);
    if (!fits(datagram) || in_all_ + size > most_bytes_in_all) return false;
    Held& last = held_.emplace_back(datagram, std::vector(datagram.payload.begin(), datagram.payload.end()));
    last.datagram.payload = last.bytes;
    bytes_ += size;
    in_all_ += size;
    return true;
  }
  // All of them, in their order; they count no longer.
  [[nodiscard]] std::vector<Held> release() {
    in_all_ -= std::exchange(bytes_, 0);
    return std::exchange(held_, {});
  }

 private:
  // An empty one takes memory too.
  static std::size_t cost(const Datagram& datagram) { return std::max(datagram.payload.size(), sizeof(Held)); }

  std::vector<Held> held_;
  std::size_t bytes_ = 0;
  std::size_t& in_all_;
};

}  // namespace limpid
