// SPDX-License-Identifier: MIT
#include "intercept/judge.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "intercept/mark_use.h"

namespace limpid {
namespace {

struct NamedMark {
  std::string_view key;  // of the configuration
  Mark mark;
};

std::array<NamedMark, 3> marks_of(const Intercept& settings) {
  return {{{"mark", settings.mark}, {"local_mark", settings.local_mark}, {"own_mark", settings.own_mark}}};
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

std::string_view trimmed(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  return line;
}

// How many braces a line opens and does not close.
long open_braces(std::string_view line) {
  const auto words = words_of(line);
  return std::ranges::count(words, "{") - std::ranges::count(words, "}");
}

bool has_word(const std::vector<std::string_view>& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

// "accept what carries exactly this mark", which is what we ask people to add to their input chains.
bool only_accepts(const std::string& rule, Mark mark) {
  const auto uses = mark_uses(rule);
  return uses.size() == 1 && !uses[0].changes && uses[0].bits == mark.mask && has_word(words_of(rule), "accept");
}

std::string mark_sentence(const std::string& holder, const NamedMark& named, std::string_view what) {
  return fmt::format("{} uses bits of {} {} (\"{}\"): choose other bits with {} (--{})", holder, named.key,
                     named.mark.text(), what, named.key, [&] {
                       std::string option(named.key);
                       std::ranges::replace(option, '_', '-');
                       return option;
                     }());
}

bool is_base_of(const NftChain& chain, std::string_view hook) {
  const auto words = words_of(chain.hook);
  return chain.hook.starts_with("type filter ") && has_word(words, hook);
}

// iptables-nft's tables are iptables' to change.
std::string rule_to_add(const NftChain& chain, Mark mark) {
  const bool is_built_in = chain.name == "INPUT" || chain.name == "FORWARD";
  if (chain.table == "filter" && is_built_in && (chain.family == "ip" || chain.family == "ip6"))
    return fmt::format("{} -I {} -m mark --mark {} -j ACCEPT", chain.family == "ip" ? "iptables" : "ip6tables",
                       chain.name, mark.text());
  return fmt::format("nft insert rule {} {} {} meta mark and 0x{:08x} == 0x{:08x} accept", chain.family, chain.table,
                     chain.name, mark.mask, mark.bits);
}

// Base chains of that hook that drop by default and do not accept that mark: a sentence each.
std::vector<std::string> drops(const std::vector<NftChain>& chains, std::string_view hook, Mark mark,
                               std::string_view what_then) {
  std::vector<std::string> sentences;
  for (const NftChain& chain : chains) {
    if (!is_base_of(chain, hook) || !drops_by_default(chain)) continue;
    if (std::ranges::any_of(chain.rules, [&](const std::string& rule) { return only_accepts(rule, mark); })) continue;
    sentences.push_back(
        fmt::format("{} drops what it does not know, and {}: {}", where(chain), what_then, rule_to_add(chain, mark)));
  }
  return sentences;
}

// Of a set-up by `limpid rules`.
bool is_of_rules(const NftChain& chain) {
  return chain.family == "inet" && (chain.table.starts_with(rules_table) || chain.table.starts_with(rules_guard));
}

}  // namespace

std::string where(const NftChain& chain) {
  return fmt::format("nft table {} {}, chain {}", chain.family, chain.table, chain.name);
}

bool drops_by_default(const NftChain& chain) {
  if (chain.hook.find("policy drop") != std::string::npos) return true;
  if (chain.rules.empty()) return false;
  const auto words = words_of(chain.rules.back());
  const std::size_t verdict = !words.empty() && words[0] == "counter" ? 1 : 0;
  return words.size() > verdict && (words[verdict] == "drop" || words[verdict] == "reject");
}

bool is_ours(const NftChain& chain) {
  return chain.family == "inet" && (chain.table == "limpid" || chain.table == "limpid_guard" || is_of_rules(chain));
}

std::vector<NftChain> parse_whole_ruleset(std::string_view listing) {
  std::vector<NftChain> chains;
  std::string family, table, rule;
  bool in_chain = false;
  long depth = 0;  // 1: in a table, 2: in a chain or set, more: in a set of a rule that goes over several lines
  for (const std::string_view raw : lines_of(listing)) {
    const std::string_view line = trimmed(raw);
    if (line.empty() || line.starts_with('#')) continue;
    const auto words = words_of(line);
    if (depth == 0 && words.size() >= 3 && words[0] == "table") {
      family = words[1];
      table = words[2];
    } else if (depth == 1) {
      in_chain = words.size() >= 2 && words[0] == "chain";
      if (in_chain) chains.push_back({family, table, std::string(words[1]), "", {}});
    } else if (depth >= 2 && in_chain && !(depth == 2 && line == "}")) {
      rule += rule.empty() ? std::string(line) : " " + std::string(line);
    }
    depth += open_braces(line);
    if (depth != 2 || rule.empty()) continue;
    if (rule.starts_with("type ") && rule.find(" hook ") != std::string::npos)
      chains.back().hook = rule;
    else
      chains.back().rules.push_back(rule);
    rule.clear();
  }
  return chains;
}

std::vector<NftChain> parse_ruleset(std::string_view listing, const Instance& whose) {
  std::vector<NftChain> chains = parse_whole_ruleset(listing);
  std::erase_if(chains, [&](const NftChain& chain) {
    const std::string name = fmt::format("{} {}", chain.family, chain.table);
    if (name == whose.table() || name == whose.guard()) return true;
    // Other set-ups for proxies use other values of the same bits; their fib rules tell which.
    return whose.is_foreign() && is_of_rules(chain);
  });
  return chains;
}

std::vector<std::string> mark_conflicts(const std::vector<NftChain>& chains, const Intercept& settings) {
  std::vector<std::string> conflicts;
  for (const NftChain& chain : chains)
    for (const std::string& rule : chain.rules)
      for (const NamedMark& named : marks_of(settings)) {
        const auto uses = mark_uses(rule);
        const bool overlaps =
            std::ranges::any_of(uses, [&](const MarkUse& use) { return (use.bits & named.mark.mask) != 0; });
        if (overlaps && !only_accepts(rule, named.mark)) conflicts.push_back(mark_sentence(where(chain), named, rule));
      }
  return conflicts;
}

namespace {

// Set-ups for proxies share the bits of their marks: each has values of its own.
bool is_another_value(const FibRule& rule, Mark mark, const Instance& whose) {
  const bool is_of_a_set_up =
      rule.protocol >= first_rules_protocol && rule.protocol < first_rules_protocol + most_rules;
  return whose.is_foreign() && is_of_a_set_up && rule.mark.mask == mark.mask && rule.mark.bits != mark.bits;
}

}  // namespace

std::vector<std::string> fib_conflicts(const std::vector<FibRule>& rules, const Intercept& settings,
                                       const Instance& whose) {
  constexpr std::uint32_t whole = 0xffffffff;
  std::vector<std::string> conflicts;
  for (const FibRule& rule : rules) {
    if (rule.protocol == whose.protocol) continue;
    const std::string what = "ip " + rule.text();
    // A whole mark is compared: only the bits that are set say whose they are.
    const std::uint32_t bits = rule.mark.mask == whole ? rule.mark.bits : rule.mark.bits | rule.mark.mask;
    for (const NamedMark& named : marks_of(settings))
      if ((bits & named.mark.mask) != 0 && !is_another_value(rule, named.mark, whose))
        conflicts.push_back(mark_sentence("a fib rule", named, what));
    if (rule.priority + 1 >= settings.priority && rule.priority <= settings.priority + 1)
      conflicts.push_back(
          fmt::format("a fib rule has priority {} (\"{}\"), of which limpid needs {} to {}: choose others "
                      "with priority (--priority)",
                      rule.priority, what, settings.priority - 1, settings.priority + 1));
  }
  return conflicts;
}

std::vector<std::string> route_conflicts(const std::vector<FibRoute>& routes, const Intercept& settings,
                                         const Instance& whose) {
  for (const FibRoute& route : routes)
    if (route.protocol != whose.protocol)
      return {fmt::format(
          "route table {} has {} routes of somebody else (protocol {}): choose another with table (--table)",
          settings.table, family_name(route.family), route.protocol)};
  return {};
}

bool uses_conntrack(const std::vector<NftChain>& chains) {
  return std::ranges::any_of(chains, [](const NftChain& chain) {
    if (chain.family == "inet" && chain.table.starts_with("limpid")) return false;
    return chain.hook.starts_with("type nat ") || std::ranges::any_of(chain.rules, [](const std::string& rule) {
             const auto words = words_of(rule);
             return std::ranges::any_of(words, [](std::string_view word) {
               return word == "ct" || word == "masquerade" || word == "snat" || word == "dnat" || word == "redirect" ||
                      word == "flow";
             });
           });
  });
}

bool filters_forwarding(const std::vector<NftChain>& chains) {
  return std::ranges::any_of(chains, [](const NftChain& chain) { return is_base_of(chain, "forward"); });
}

std::vector<std::string> input_drops(const std::vector<NftChain>& chains, const Intercept& settings) {
  return drops(chains, "input", settings.mark, "intercepted connections come through it");
}

std::vector<std::string> forward_drops(const std::vector<NftChain>& chains, const Intercept& settings) {
  return drops(chains, "forward", settings.own_mark,
               "it does so with a UDP flow left to the kernel, so they are all relayed");
}

std::uint64_t cookies_sent(std::string_view netstat) {
  const auto lines = lines_of(netstat);
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
    if (!lines[i].starts_with("TcpExt:")) continue;
    const auto names = words_of(lines[i]);
    const auto values = words_of(lines[i + 1]);
    const auto column = static_cast<std::size_t>(std::ranges::find(names, "SyncookiesSent") - names.begin());
    if (column >= values.size()) return 0;
    std::uint64_t value = 0;
    std::from_chars(values[column].data(), values[column].data() + values[column].size(), value);
    return value;
  }
  return 0;
}

}  // namespace limpid
