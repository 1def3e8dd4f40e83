// SPDX-License-Identifier: MIT
// Which of many rules accept a value, as one bit a rule: found by a binary search, whatever the number of rules. The
// sets of all dimensions of a flow, intersected, are the rules that match it (T. V. Lakshman, D. Stiliadis: High-Speed
// Policy-based Packet Forwarding, SIGCOMM 1998). Pure.
#pragma once
#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

namespace limpid {

// Sets of rules of one size, each stored once.
class RuleSets {
 public:
  using Bits = std::vector<std::uint64_t>;

  // Set 0 is that of no rule.
  explicit RuleSets(std::size_t rules) : words_((rules + 63) / 64) { intern(none()); }

  [[nodiscard]] std::size_t words() const { return words_; }
  [[nodiscard]] Bits none() const { return Bits(words_); }
  static void add(Bits& bits, std::size_t rule) { bits[rule / 64] |= std::uint64_t{1} << rule % 64; }
  static void remove(Bits& bits, std::size_t rule) { bits[rule / 64] &= ~(std::uint64_t{1} << rule % 64); }

  // The set's number.
  std::uint32_t intern(const Bits& bits) {
    const auto [known, is_new] = numbers_.try_emplace(bits, static_cast<std::uint32_t>(numbers_.size()));
    if (is_new) all_.insert(all_.end(), bits.begin(), bits.end());
    return known->second;
  }
  // words() of them.
  [[nodiscard]] const std::uint64_t* at(std::uint32_t number) const { return all_.data() + number * words_; }
  // No more will be added: forgets what only intern() needs.
  void seal() { numbers_.clear(); }

 private:
  std::size_t words_;
  std::vector<std::uint64_t> all_;
  std::map<Bits, std::uint32_t> numbers_;
};

// Values of type Key, cut into intervals, each of which has its set.
template <class Key>
class RuleIndex {
 public:
  struct Interval {
    Key first, last;  // both inclusive
    std::size_t rule;
  };

  // `everywhere`: rules that accept every value. `next`: the value behind one that is not the last.
  template <class Next>
  RuleIndex(const std::vector<Interval>& intervals, const RuleSets::Bits& everywhere, const Key& least,
            const Key& greatest, Next next, RuleSets& sets) {
    std::map<Key, std::vector<std::pair<std::size_t, int>>> edges;
    edges[least];
    for (const Interval& interval : intervals) {
      edges[interval.first].emplace_back(interval.rule, 1);
      if (interval.last != greatest) edges[next(interval.last)].emplace_back(interval.rule, -1);
    }
    RuleSets::Bits bits = everywhere;
    std::map<std::size_t, int> depth;  // a rule's intervals may overlap
    for (const auto& [start, changes] : edges) {
      for (const auto& [rule, change] : changes) {
        depth[rule] += change;
        if (depth[rule] > 0)
          RuleSets::add(bits, rule);
        else
          RuleSets::remove(bits, rule);
      }
      starts_.push_back(start);
      numbers_.push_back(sets.intern(bits));
    }
  }

  [[nodiscard]] std::uint32_t find(const Key& key) const {
    const auto behind = std::ranges::upper_bound(starts_, key);
    return numbers_[static_cast<std::size_t>(behind - starts_.begin()) - 1];
  }

 private:
  std::vector<Key> starts_;  // ascending; the first is the least value
  std::vector<std::uint32_t> numbers_;
};

}  // namespace limpid
