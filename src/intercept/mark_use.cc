// SPDX-License-Identifier: MIT
#include "intercept/mark_use.h"

#include <charconv>
#include <cstddef>
#include <optional>

namespace limpid {
namespace {

constexpr std::uint32_t whole = 0xffffffff;

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  for (const std::string_view candidate : words)
    if (word == candidate) return true;
  return false;
}

std::optional<std::uint32_t> number(std::string_view word) {
  const bool is_hex = word.starts_with("0x");
  if (is_hex) word.remove_prefix(2);
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value, is_hex ? 16 : 10);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

// "0x1-0x4": the bits of both ends, and what lies between them at most.
std::optional<std::uint32_t> value_bits(std::string_view word) {
  const std::size_t dash = word.find('-');
  const auto first = number(word.substr(0, dash));
  if (dash == std::string_view::npos || !first) return first;
  const auto last = number(word.substr(dash + 1));
  if (!last) return std::nullopt;
  std::uint32_t between = *first ^ *last;
  for (int shift = 1; shift < 32; shift *= 2) between |= between >> shift;
  return *first | *last | between;
}

class Reader {
 public:
  explicit Reader(std::vector<std::string_view> words) : words_(std::move(words)) {}

  std::vector<MarkUse> read() {
    std::vector<MarkUse> uses;
    while (next_ < words_.size())
      if (words_[next_++] == "mark") uses.push_back(read_use(next_ >= 2 ? words_[next_ - 2] : ""));
    return uses;
  }

 private:
  [[nodiscard]] std::string_view peek(std::size_t ahead = 0) const {
    return next_ + ahead < words_.size() ? words_[next_ + ahead] : std::string_view();
  }

  MarkUse read_use(std::string_view subject) {
    MarkUse use;
    use.changes = peek() == "set";
    if (use.changes) ++next_;
    // "meta mark set meta mark & KEEP | BITS" changes what KEEP leaves out; "meta mark set ct mark & BITS" copies BITS.
    const bool has_source = use.changes && (peek() == "mark" || peek(1) == "mark");
    const bool is_ct = subject == "ct";
    const bool source_is_ct = peek() == "ct";
    if (has_source) next_ += peek() == "mark" ? 1 : 2;
    const bool keeps = has_source && is_ct == source_is_ct;
    read_operands(use, keeps);
    return use;
  }

  void read_operands(MarkUse& use, bool keeps) {
    int depth = 0;
    bool is_mask = false;
    for (; next_ < words_.size(); ++next_) {
      const std::string_view word = words_[next_];
      if (word == "{") ++depth;
      if (word == "}" && --depth < 0) return;
      if (const auto bits = value_bits(word)) {
        add(use, *bits, is_mask, keeps);
        is_mask = false;
      } else if (is_one_of(word, {"&", "and"})) {
        is_mask = true;
      } else if (depth == 0 && !is_operator(word)) {
        return;
      }
    }
  }

  static bool is_operator(std::string_view word) {
    return is_one_of(word,
                     {"|", "or", "^", "xor", "==", "!=", "<", ">", "<=", ">=", "{", "}", "(", ")", ",", "vmap", "map"});
  }

  static void add(MarkUse& use, std::uint32_t bits, bool is_mask, bool keeps) {
    if (is_mask && !use.changes) use.mask |= bits;
    if (is_mask && keeps) bits = ~bits;
    if (is_mask && bits == whole) return;  // everything: nothing in particular
    use.bits |= bits;
  }

  std::vector<std::string_view> words_;
  std::size_t next_ = 0;
};

}  // namespace

std::vector<std::string_view> words_of(std::string_view rule) {
  constexpr std::string_view single = "{}(),";
  std::vector<std::string_view> words;
  for (std::size_t begin = 0; begin < rule.size();) {
    if (rule[begin] == '"') {
      const std::size_t quote = rule.find('"', begin + 1);
      begin = quote == std::string_view::npos ? rule.size() : quote + 1;
    } else if (rule[begin] == ' ' || rule[begin] == '\t' || rule[begin] == '\n') {
      ++begin;
    } else if (single.contains(rule[begin])) {
      words.push_back(rule.substr(begin++, 1));
    } else {
      const std::size_t end = std::min(rule.find_first_of(" \t\n\"{}(),", begin), rule.size());
      words.push_back(rule.substr(begin, end - begin));
      begin = end;
    }
  }
  return words;
}

std::vector<MarkUse> mark_uses(std::string_view rule) { return Reader(words_of(rule)).read(); }

}  // namespace limpid
