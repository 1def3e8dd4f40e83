// SPDX-License-Identifier: MIT
#include "policy/host_table.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <utility>

#include "base/ascii.h"

namespace limpid {
namespace {

constexpr std::size_t longest_name = 253;   // bytes, in text (RFC 1035, section 2.3.4: 255 on the wire)
constexpr std::size_t longest_label = 63;   // bytes
constexpr std::size_t longest_quote = 100;  // bytes of a refused text that are shown

constexpr std::uint32_t nowhere = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t block_bits = 20;
constexpr std::size_t block_size = 1 << block_bits;
constexpr std::size_t most_blocks = (1 << (32 - block_bits)) - 1;  // and none whose places could be `nowhere`

enum class Kind : std::uint32_t { exact, below };

std::uint32_t hash_of(const SuffixHash& hash, Kind kind) {
  return (static_cast<std::uint32_t>(hash.value()) & ~1U) | static_cast<std::uint32_t>(kind);
}

std::string quoted(std::string_view text) {
  const bool is_long = text.size() > longest_quote;
  return fmt::format("{:?}{}", text.substr(0, longest_quote), is_long ? "..." : "");
}

// Calls visit(start, label) for each label, from the right, until it has enough and returns false.
template <class Visit>
void walk_labels(std::string_view name, Visit visit) {
  for (std::size_t start = name.size() + 1; start != 0;) {
    name = name.substr(0, start - 1);
    start = name.rfind('.') + 1;  // npos + 1 is 0
    if (!visit(start, name.substr(start))) return;
  }
}

// Why it is not a label, or nothing.
std::string fault_of(std::string_view label) {
  if (label.empty()) return "a label is empty: there is a dot too many";
  if (label.size() > longest_label) return fmt::format("a label has at most {} bytes", longest_label);
  for (const char byte : label) {
    if (is_letter(byte) || is_digit(byte) || byte == '-' || byte == '_') continue;
    if (byte == '*') return "'*' can only be the whole first label, as in \"*.example.com\"";
    return fmt::format("a name has letters, digits, '-', '_' and dots, not {:?}", std::string_view(&byte, 1));
  }
  return {};
}

}  // namespace

Result<std::string> parse_host_pattern(std::string_view text) {
  const auto refused = [text](std::string_view why) { return failure(fmt::format("{}: {}", quoted(text), why)); };
  std::string_view pattern = text;
  if (pattern.ends_with('.')) pattern.remove_suffix(1);
  if (pattern.empty()) return refused("a host is a name like \"example.com\", or \"*.example.com\" for all below it");
  if (pattern == "*") return refused("that is every name: leave host out to match every flow");
  if (std::ranges::any_of(pattern, [](char byte) { return static_cast<unsigned char>(byte) >= 0x80; }))
    return refused("a name outside ASCII is never on the wire: write its A-label, \"xn--...\"");
  if (pattern.size() > longest_name) return refused(fmt::format("a name has at most {} bytes", longest_name));
  std::string_view rest = pattern.starts_with("*.") ? pattern.substr(2) : pattern;
  for (;;) {
    const std::string_view label = rest.substr(0, rest.find('.'));
    if (const std::string fault = fault_of(label); !fault.empty()) return refused(fault);
    if (label.size() == rest.size()) break;
    rest.remove_prefix(label.size() + 1);
  }
  std::string lower(pattern);
  for (char& byte : lower)
    if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte - 'A' + 'a');
  return lower;
}

Result<std::uint32_t*> HostTable::at(std::string_view text) {
  const Result<std::string> pattern = parse_host_pattern(text);
  if (!pattern) return std::unexpected(pattern.error());
  const bool has_star = pattern->starts_with('*');
  const std::string_view name = std::string_view(*pattern).substr(has_star ? 2 : 0);

  if (3 * (size_ + 1) > 2 * slots_.size()) grow();
  SuffixHash labels(seed_);
  std::size_t depth = 0;
  walk_labels(name, [&](std::size_t, std::string_view label) {
    labels.add(label);
    ++depth;
    return true;
  });
  const std::uint32_t hash = hash_of(labels, has_star ? Kind::below : Kind::exact);
  Slot& slot = slots_[find(hash, name)];
  if (slot.place == nowhere) {
    const Result<std::uint32_t> place = store(name);
    if (!place) return std::unexpected(place.error());
    slot = {*place, hash, 0};
    ++size_;
  }
  (has_star ? all_below_ : itself_).set(depth);
  deepest_ = std::max(deepest_, depth);
  return &slot.number;
}

std::size_t HostTable::find_all(std::string_view host, std::array<std::uint32_t, most_matches>& numbers) const {
  struct Suffix {
    std::size_t start;
    std::uint32_t hash;
  };
  std::array<Suffix, most_labels> suffixes;
  std::size_t count = 0;
  SuffixHash labels(seed_);
  // Of a claim that is too long for a name its end alone can matter.
  host.remove_prefix(host.size() - std::min(host.size(), longest_name + 1));
  std::size_t depth = 0;
  // In a large table each suffix is a cache miss: all are asked for before the first is looked at.
  walk_labels(host, [&](std::size_t start, std::string_view label) {
    if (depth == deepest_) return false;
    labels.add(label);
    if (!(start == 0 ? itself_ : all_below_).test(++depth)) return true;
    suffixes[count] = {start, hash_of(labels, start == 0 ? Kind::exact : Kind::below)};
    __builtin_prefetch(&slots_[home_of(suffixes[count++].hash)]);
    return true;
  });
  std::size_t found = 0;
  for (const Suffix& suffix : std::span(suffixes).first(count))
    if (const Slot& slot = slots_[find(suffix.hash, host.substr(suffix.start))]; slot.place != nowhere)
      numbers[found++] = slot.number;
  return found;
}

std::size_t HostTable::memory() const {
  std::size_t bytes = blocks_.capacity() * sizeof(std::vector<char>) + slots_.capacity() * sizeof slots_.front();
  for (const std::vector<char>& block : blocks_) bytes += block.capacity();
  return bytes;
}

std::string_view HostTable::name_at(std::uint32_t place) const {
  const char* entry = blocks_[place >> block_bits].data() + (place & (block_size - 1));
  return {entry + 1, static_cast<unsigned char>(*entry)};
}

std::size_t HostTable::find(std::uint32_t hash, std::string_view name) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = home_of(hash);
  while (slots_[at].place != nowhere && (slots_[at].hash != hash || name_at(slots_[at].place) != name))
    at = (at + 1) & mask;
  return at;
}

Result<std::uint32_t> HostTable::store(std::string_view name) {
  if (blocks_.empty() || blocks_.back().size() + 1 + name.size() > block_size) {
    if (blocks_.size() == most_blocks) return failure("more names than fit into 4 GiB");
    blocks_.emplace_back();
  }
  std::vector<char>& block = blocks_.back();
  const std::size_t place = (blocks_.size() - 1) << block_bits | block.size();
  // Left to itself, the last doubling would reserve up to twice the block.
  if (block.capacity() < block.size() + 1 + name.size())
    block.reserve(std::min(block_size, std::max<std::size_t>(512, 2 * block.capacity())));
  block.push_back(static_cast<char>(name.size()));
  block.insert(block.end(), name.begin(), name.end());
  return static_cast<std::uint32_t>(place);
}

void HostTable::grow() {
  const std::size_t count = std::max<std::size_t>(8, 2 * slots_.size());
  for (const Slot& slot : std::exchange(slots_, std::vector(count, Slot{nowhere, 0, 0}))) {
    if (slot.place == nowhere) continue;
    std::size_t at = home_of(slot.hash);
    while (slots_[at].place != nowhere) at = (at + 1) & (count - 1);
    slots_[at] = slot;
  }
}

}  // namespace limpid
