// SPDX-License-Identifier: MIT
// Host names and patterns, each with a number, exact and small enough for block lists of millions. Pure. Filled, then
// shared as const: a lookup takes no memory and no lock.
#pragma once
#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/suffix_hash.h"

namespace limpid {

// "example.com" (that name only) or "*.example.com" (every name below it, at any depth, not itself), in lower case and
// without the trailing dot. Labels as in RFC 1035, section 2.3.4, with '_' as well; of a name outside ASCII its A-label
// (RFC 5890, section 2.3.2.1).
Result<std::string> parse_host_pattern(std::string_view text);

class HostTable {
 public:
  // Labels of a name: of one byte each, and the dots between them (RFC 1035, section 2.3.4).
  static constexpr std::size_t most_labels = 127;
  // Patterns that match one name: each of its suffixes, and the name itself.
  static constexpr std::size_t most_matches = most_labels;

  // Names are the clients' claims: the seed keeps the cost of looking them up from being theirs to choose.
  explicit HostTable(HashSeed seed) : seed_(seed) {}

  // The number of what parse_host_pattern() takes, for the caller to set; 0 if it was not there. Good until the next
  // call.
  Result<std::uint32_t*> at(std::string_view text);

  // Calls hit(number) for each pattern that matches. `host` in lower case, without a trailing dot; else any bytes at
  // all.
  template <class Hit>
  void match(std::string_view host, Hit hit) const {
    std::array<std::uint32_t, most_matches> numbers;
    const std::size_t count = find_all(host, numbers);
    for (std::size_t i = 0; i < count; ++i) hit(numbers[i]);
  }

  [[nodiscard]] std::size_t size() const { return size_; }  // patterns
  [[nodiscard]] std::size_t memory() const;                 // bytes allocated

 private:
  using Depths = std::bitset<most_labels + 1>;
  // Whether a pattern means the name itself or all below it is the last bit of its hash.
  struct Slot {
    std::uint32_t place;  // in blocks_: of a byte with the length, followed by the name
    std::uint32_t hash;
    std::uint32_t number;
  };

  std::size_t find_all(std::string_view host, std::array<std::uint32_t, most_matches>& numbers) const;
  // The slot where the search for it begins.
  [[nodiscard]] std::size_t home_of(std::uint32_t hash) const { return hash >> 1 & (slots_.size() - 1); }
  [[nodiscard]] std::string_view name_at(std::uint32_t place) const;
  [[nodiscard]] std::size_t find(std::uint32_t hash, std::string_view name) const;  // its slot, or the free one for it
  [[nodiscard]] Result<std::uint32_t> store(std::string_view name);
  void grow();

  HashSeed seed_;
  std::vector<std::vector<char>> blocks_;  // small ones: what grows is never copied as a whole
  std::vector<Slot> slots_;                // open addressing, linear probing; a power of two of them
  std::size_t size_ = 0;
  Depths itself_;            // the numbers of labels that names have
  Depths all_below_;         // and patterns, without the star
  std::size_t deepest_ = 0;  // the largest of them
};

}  // namespace limpid
