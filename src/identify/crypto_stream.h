// SPDX-License-Identifier: MIT
// The stream of QUIC's CRYPTO frames, which come in any order, over and over, and overlapping (RFC 9000, 19.6). Pure.
// Holds most_bytes of it and the ranges they came in: what is beyond, or in too many pieces, is dropped.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "identify/finding.h"

namespace limpid {

class CryptoStream {
 public:
  void add(std::uint64_t offset, Bytes data);
  [[nodiscard]] Bytes contiguous() const;  // from the stream's first byte to the first gap
  // Two frames held different bytes for one place: an upstream may take either (RFC 9000, 2.2).
  [[nodiscard]] bool contradicts_itself() const { return contradicts_itself_; }

 private:
  struct Range {
    std::size_t begin, end;
  };
  static constexpr std::size_t most_ranges = 128;

  std::vector<std::uint8_t> bytes_;
  std::vector<Range> ranges_;  // in order, with gaps between them
  bool contradicts_itself_ = false;
};

}  // namespace limpid
