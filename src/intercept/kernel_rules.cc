// SPDX-License-Identifier: MIT
#include "intercept/kernel_rules.h"

#include <algorithm>

#include "config/normalise.h"

namespace limpid {
namespace {

// What only the first bytes, the clock or an upstream can settle is ours.
Verdict verdict_of(const Rule& rule) {
  if (rule.asks_for_identity() || rule.time) return Verdict::take;
  if (rule.action == action_direct) return Verdict::pass;
  if (rule.action == action_reject) return Verdict::reject;
  if (rule.action == action_drop) return Verdict::drop;
  return Verdict::take;
}

template <class Value>
void unite(std::vector<Value>& values, const std::vector<Value>& more) {
  if (values.empty() || more.empty()) return values.clear();  // every flow
  values.insert(values.end(), more.begin(), more.end());
  values = normalise(std::move(values));
}

// Neighbours with one verdict that differ in one thing only are one rule.
bool merge(KernelRule& rule, const KernelRule& next) {
  const bool same_from = rule.from == next.from, same_to = rule.to == next.to, same_port = rule.port == next.port;
  if (rule.verdict != next.verdict || same_from + same_to + same_port < 2) return false;
  if (!same_from) unite(rule.from, next.from);
  if (!same_to) unite(rule.to, next.to);
  if (!same_port) unite(rule.port, next.port);
  return true;
}

// `made`: what comes before them.
std::vector<KernelRule> rules_of(const std::vector<Rule>& rules, Protocol proto, std::vector<KernelRule> made,
                                 std::vector<bool>& decides) {
  std::size_t place = 0;
  for (bool all_match = false; place < rules.size() && !all_match; ++place) {
    const Rule& rule = rules[place];
    if (rule.proto && rule.proto != proto) continue;
    KernelRule next{rule.from, rule.to, rule.port, verdict_of(rule)};
    if (next.verdict == Verdict::take) decides[place] = false;
    all_match = next.from.empty() && next.to.empty() && next.port.empty();
    if (!made.empty() && merge(made.back(), next)) continue;
    if (made.size() == most_kernel_rules) break;
    made.push_back(std::move(next));
  }
  for (; place < rules.size(); ++place)
    if (!rules[place].proto || rules[place].proto == proto) decides[place] = false;
  while (!made.empty() && made.back().verdict == Verdict::take) made.pop_back();  // as it is without them
  return made;
}

}  // namespace

KernelRules kernel_rules(const std::vector<Rule>& rules) {
  KernelRules made{.tcp = {},
                   .udp = {},
                   .decides = std::vector<bool>(rules.size(), true),
                   .watches_dns = std::ranges::any_of(rules, &Rule::verify_host)};
  std::vector<KernelRule> before;
  if (made.watches_dns) before.push_back({{}, {}, {{dns_port, dns_port}}, Verdict::take});
  made.tcp = rules_of(rules, Protocol::tcp, before, made.decides);
  made.udp = rules_of(rules, Protocol::udp, std::move(before), made.decides);
  return made;
}

}  // namespace limpid
