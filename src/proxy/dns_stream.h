// SPDX-License-Identifier: MIT
// The DNS messages of one direction of a TCP connection: each behind its length in two bytes (RFC 1035, section 4.2.2).
// Pure.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "protocol/dns_message.h"

namespace limpid {

class DnsStream {
 public:
  // Calls see(Bytes message) for every message that ends with these bytes; what is larger than most_dns_bytes is passed
  // over, and never kept.
  template <class See>
  void take(std::span<const char> bytes, See see) {
    while (!bytes.empty()) {
      if (passing_over_ > 0) {
        const std::size_t count = std::min(passing_over_, bytes.size());
        passing_over_ -= count;
        bytes = bytes.subspan(count);
        continue;
      }
      const std::size_t wanted = waiting_.size() < length_size ? length_size : length_size + length();
      const std::size_t count = std::min(wanted - waiting_.size(), bytes.size());
      waiting_.insert(waiting_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
      bytes = bytes.subspan(count);
      if (waiting_.size() < length_size) continue;
      if (length() > most_dns_bytes) {
        passing_over_ = length();
        waiting_.clear();
      } else if (waiting_.size() == length_size + length()) {
        see(Bytes(waiting_).subspan(length_size));
        waiting_.clear();
      }
    }
  }

 private:
  static constexpr std::size_t length_size = 2;

  [[nodiscard]] std::size_t length() const { return static_cast<std::size_t>(waiting_[0] << 8 | waiting_[1]); }

  std::vector<std::uint8_t> waiting_;  // the length, and what there is of the message
  std::size_t passing_over_ = 0;       // bytes of one that is too large
};

}  // namespace limpid
