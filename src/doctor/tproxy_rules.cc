// SPDX-License-Identifier: MIT
#include "doctor/tproxy_rules.h"

#include <netinet/in.h>

#include <algorithm>
#include <charconv>

#include "intercept/mark_use.h"

namespace limpid {
namespace {

using Words = std::vector<std::string_view>;

bool has(const Words& words, std::string_view word) { return std::ranges::find(words, word) != words.end(); }

// The word behind that one; empty if there is none.
std::string_view behind(const Words& words, std::string_view word) {
  const auto found = std::ranges::find(words, word);
  return found == words.end() || found + 1 == words.end() ? std::string_view() : *(found + 1);
}

// "127.0.0.1:50080", ":50080", "[::1]:50080".
bool read_target(std::string_view word, TproxyRule& rule) {
  const std::size_t colon = word.rfind(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view port = word.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), rule.port);
  if (error != std::errc() || end != port.data() + port.size() || rule.port == 0) return false;
  std::string_view address = word.substr(0, colon);
  if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
  if (const Result<Address> parsed = Address::parse(address)) rule.address = *parsed;
  return true;
}

// The quoted names behind "iif" or "iifname": one, or a set of them. "!=" names none.
std::vector<std::string> interfaces_of(std::string_view text) {
  std::vector<std::string> names;
  std::size_t at = text.find("iifname ");
  if (at == std::string_view::npos) at = text.find("iif ");
  if (at == std::string_view::npos) return names;
  at = text.find(' ', at);
  while (at < text.size()) {
    if (text[at] == '"') {
      const std::size_t end = text.find('"', at + 1);
      if (end == std::string_view::npos) break;
      names.emplace_back(text.substr(at + 1, end - at - 1));
      at = end + 1;
      if (at < text.size() && text[at] == ' ' && !text.substr(at).starts_with(" }")) break;
    } else if (text[at] == ' ' || text[at] == '{' || text[at] == ',') {
      ++at;
    } else {
      break;
    }
  }
  return names;
}

std::vector<int> families_of(const NftChain& chain, const Words& words, const TproxyRule& rule) {
  if (chain.family == "ip") return {AF_INET};
  if (chain.family == "ip6") return {AF_INET6};
  if (rule.address) return {rule.address->family()};
  const std::string_view kind = behind(words, "tproxy");
  if (kind == "ip") return {AF_INET};
  if (kind == "ip6") return {AF_INET6};
  const std::string_view nfproto = behind(words, "nfproto");
  if (nfproto == "ipv4") return {AF_INET};
  if (nfproto == "ipv6") return {AF_INET6};
  return {AF_INET, AF_INET6};
}

std::uint32_t mark_given(std::string_view text) {
  for (const MarkUse& use : mark_uses(text))
    if (use.changes) return use.bits;
  return 0;
}

// Where the verdict of a rule begins; nothing if it only counts, marks or jumps.
std::optional<std::size_t> verdict_at(std::string_view text) {
  for (const std::string_view verdict : {"accept", "drop", "return", "reject"}) {
    const std::size_t at = text.rfind(verdict);
    if (at != std::string_view::npos && (at == 0 || text[at - 1] == ' ')) return at;
  }
  return std::nullopt;
}

std::string without_counters(std::string_view text) {
  std::string result;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::string_view word = text.substr(begin, end - begin);
    if (word != "counter") result += (result.empty() ? "" : " ") + std::string(word);
    begin = end + 1;
  }
  return result;
}

}  // namespace

std::optional<TproxyRule> read_tproxy_rule(const NftChain& chain, std::size_t place) {
  const std::string& text = chain.rules[place];
  const Words words = words_of(text);
  TproxyRule rule{.chain = chain, .place = place, .families = {}, .protocols = {}};
  if (!has(words, "tproxy") || !read_target(behind(words, "to"), rule)) return std::nullopt;
  rule.families = families_of(chain, words, rule);
  if (has(words, "tcp")) rule.protocols.push_back(IPPROTO_TCP);
  if (has(words, "udp")) rule.protocols.push_back(IPPROTO_UDP);
  rule.interfaces = interfaces_of(text);
  rule.taken = ports_after_dport(text);
  rule.mark = mark_given(text);
  return rule;
}

std::vector<TproxyRule> tproxy_rules(const std::vector<NftChain>& chains) {
  std::vector<TproxyRule> rules;
  for (const NftChain& chain : chains)
    for (std::size_t place = 0; place < chain.rules.size() && !is_ours(chain); ++place)
      if (auto rule = read_tproxy_rule(chain, place)) rules.push_back(*std::move(rule));
  return rules;
}

std::vector<PortRange> ports_after_dport(const std::string& rule) {
  const Words words = words_of(rule);
  std::vector<PortRange> ports;
  auto word = std::ranges::find(words, "dport");
  if (word == words.end()) return ports;
  bool in_set = false;
  for (++word; word != words.end(); ++word) {
    if (*word == "{") in_set = true;
    if (*word == "{" || *word == ",") continue;
    const Result<PortRange> range = PortRange::parse(*word);
    if (!range) break;
    ports.push_back(*range);
    if (!in_set) break;
  }
  return ports;
}

std::optional<std::string> decided_before(const TproxyRule& rule) {
  const std::string mine = " " + without_counters(rule.text()) + " ";
  for (std::size_t place = 0; place < rule.place; ++place) {
    const std::string earlier = without_counters(rule.chain.rules[place]);
    const std::optional<std::size_t> verdict = verdict_at(earlier);
    if (!verdict || earlier.find("tproxy") != std::string::npos) continue;
    // What is asked there is asked here as well, in the same words: then all that would come here ends there.
    if (*verdict == 0 || mine.find(" " + earlier.substr(0, *verdict)) != std::string::npos)
      return rule.chain.rules[place];
  }
  return std::nullopt;
}

}  // namespace limpid
