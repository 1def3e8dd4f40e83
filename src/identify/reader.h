// SPDX-License-Identifier: MIT
// Takes numbers and runs of bytes from the front of others. What is not there reads as zero or empty, and is_short()
// says so from then on: a parser may read all its fields first and ask once.
#pragma once
#include "identify/finding.h"

namespace limpid {

class Reader {
 public:
  explicit Reader(Bytes bytes) : rest_(bytes) {}

  [[nodiscard]] bool is_short() const { return is_short_; }
  [[nodiscard]] Bytes rest() const { return rest_; }
  [[nodiscard]] bool is_at_end() const { return rest_.empty(); }

  Bytes take(std::size_t size) {
    if (size > rest_.size()) {
      is_short_ = true;
      rest_ = {};
      return {};
    }
    const Bytes taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  void skip_zeros() {
    std::size_t zeros = 0;
    while (zeros < rest_.size() && rest_[zeros] == 0) ++zeros;
    rest_ = rest_.subspan(zeros);
  }
  // Big-endian, of `size` bytes.
  std::uint64_t number(std::size_t size) {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : take(size)) value = value << 8 | byte;
    return value;
  }
  // What a TLS presentation-language vector holds: its length, of `size` bytes, stands before it (RFC 8446, 3.4).
  Bytes vector(std::size_t size) { return take(number(size)); }
  // QUIC's variable-length integer (RFC 9000, 16).
  std::uint64_t varint() {
    if (rest_.empty()) return number(1);
    const std::size_t size = std::size_t{1} << (rest_.front() >> 6);
    return number(size) & ~(std::uint64_t{3} << (8 * size - 2));
  }

 private:
  Bytes rest_;
  bool is_short_ = false;
};

}  // namespace limpid
