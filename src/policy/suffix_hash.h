// SPDX-License-Identifier: MIT
// A keyed hash of a host name's labels, the last one first, so that one pass over a name gives the hash of each of its
// suffixes. SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012) with each label padded to
// whole words and closed with its length: without the seed nobody can choose names that collide.
#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace limpid {

// Should come from getrandom(2), once a process.
struct HashSeed {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
};

class SuffixHash {
 public:
  explicit SuffixHash(HashSeed seed)
      : state_{seed.first ^ 0x736f6d6570736575, seed.second ^ 0x646f72616e646f6d, seed.first ^ 0x6c7967656e657261,
               seed.second ^ 0x7465646279746573} {}

  // The label to the left of those added before.
  void add(std::string_view label) {
    const std::uint64_t length = label.size();
    for (; label.size() >= sizeof(std::uint64_t); label.remove_prefix(sizeof(std::uint64_t)))
      absorb(word(label.substr(0, sizeof(std::uint64_t))));
    absorb(word(label) | length << 56);
  }

  // Of all labels so far; more may follow.
  [[nodiscard]] std::uint64_t value() const {
    SuffixHash end = *this;
    end.state_[2] ^= 0xff;
    for (int round = 0; round < 3; ++round) end.mix();
    return end.state_[0] ^ end.state_[1] ^ end.state_[2] ^ end.state_[3];
  }

 private:
  static std::uint64_t word(std::string_view bytes) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }

  void absorb(std::uint64_t word) {
    state_[3] ^= word;
    mix();
    state_[0] ^= word;
  }

  void mix() {
    auto& [a, b, c, d] = state_;
    a += b, b = std::rotl(b, 13) ^ a, a = std::rotl(a, 32);
    c += d, d = std::rotl(d, 16) ^ c;
    a += d, d = std::rotl(d, 21) ^ a;
    c += b, b = std::rotl(b, 17) ^ c, c = std::rotl(c, 32);
  }

  std::array<std::uint64_t, 4> state_;
};

}  // namespace limpid
