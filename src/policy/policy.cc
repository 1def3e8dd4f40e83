// SPDX-License-Identifier: MIT
#include "policy/policy.h"

#include <algorithm>
#include <bit>
#include <unordered_map>

#include "base/check.h"
#include "policy/host_file.h"

namespace limpid {
namespace {

constexpr std::size_t family_place(int family) { return family == AF_INET ? 0 : 1; }

Address last_of(int family) {
  std::array<std::uint8_t, 16> bytes;
  bytes.fill(0xff);
  return Address::from_bytes(family, bytes.data());
}

Address last_of(const Prefix& prefix) {
  std::array<std::uint8_t, 16> bytes{};
  const int size = prefix.address.bits() / 8;
  std::copy_n(prefix.address.bytes(), size, bytes.begin());
  for (int bit = prefix.length; bit < prefix.address.bits(); ++bit)
    bytes[static_cast<std::size_t>(bit / 8)] |= static_cast<std::uint8_t>(0x80 >> bit % 8);
  return Address::from_bytes(prefix.address.family(), bytes.data());
}

Address next_of(const Address& address) {
  std::array<std::uint8_t, 16> bytes{};
  const auto size = static_cast<std::size_t>(address.bits() / 8);
  std::copy_n(address.bytes(), size, bytes.begin());
  for (std::size_t at = size; at > 0; --at) {
    ++bytes[at - 1];
    if (bytes[at - 1] != 0) break;  // no carry
  }
  return Address::from_bytes(address.family(), bytes.data());
}

std::uint32_t place_of_upstream(const PolicySource& source, std::string_view name) {
  const auto found = std::ranges::find(source.upstreams, name, &Upstream::name);
  CHECK(found != source.upstreams.end());
  return static_cast<std::uint32_t>(found - source.upstreams.begin());
}

Decision decision_of_rule(const PolicySource& source, std::uint32_t place) {
  const std::string& action = source.rules[place].action;
  if (action == action_direct) return {Action::direct, place};
  if (action == action_reject) return {Action::reject, place};
  if (action == action_drop) return {Action::drop, place};
  return {Action::upstream, place, place_of_upstream(source, action)};
}

}  // namespace

Policy::Policy(PolicySource source, HashSeed seed)
    : source_(std::move(source)),
      verifies_hosts_(std::ranges::any_of(source_.rules, &Rule::verify_host)),
      sets_(source_.rules.size()),
      from_{index_addresses(source_.rules, &Rule::from, AF_INET, sets_),
            index_addresses(source_.rules, &Rule::from, AF_INET6, sets_)},
      to_{index_addresses(source_.rules, &Rule::to, AF_INET, sets_),
          index_addresses(source_.rules, &Rule::to, AF_INET6, sets_)},
      ports_{index_ports(source_.rules, Protocol::tcp, sets_), index_ports(source_.rules, Protocol::udp, sets_)},
      names_(source_.rules, sets_, seed) {
  sets_.seal();
  for (std::uint32_t place = 0; place < source_.rules.size(); ++place) {
    decisions_.push_back(decision_of_rule(source_, place));
    std::string().swap(source_.rules[place].host_names);  // they are in the table now
  }
}

RuleIndex<Address> Policy::index_addresses(const std::vector<Rule>& rules, std::vector<Prefix> Rule::* prefixes,
                                           int family, RuleSets& sets) {
  RuleSets::Bits everywhere = sets.none();
  std::vector<RuleIndex<Address>::Interval> intervals;
  for (std::size_t place = 0; place < rules.size(); ++place) {
    if ((rules[place].*prefixes).empty()) RuleSets::add(everywhere, place);
    for (const Prefix& prefix : rules[place].*prefixes)
      if (prefix.address.family() == family) intervals.push_back({prefix.address, last_of(prefix), place});
  }
  return {intervals, everywhere, Address::any(family), last_of(family), next_of, sets};
}

RuleIndex<std::uint16_t> Policy::index_ports(const std::vector<Rule>& rules, Protocol proto, RuleSets& sets) {
  RuleSets::Bits everywhere = sets.none();
  std::vector<RuleIndex<std::uint16_t>::Interval> intervals;
  for (std::size_t place = 0; place < rules.size(); ++place) {
    if (rules[place].proto && rules[place].proto != proto) continue;
    if (rules[place].port.empty()) RuleSets::add(everywhere, place);
    for (const PortRange& range : rules[place].port) intervals.push_back({range.first, range.last, place});
  }
  const auto next = [](std::uint16_t port) { return static_cast<std::uint16_t>(port + 1); };
  return {intervals, everywhere, 0, 65535, next, sets};
}

Policy::Names::Names(const std::vector<Rule>& rules, RuleSets& sets, HashSeed seed)
    : table(seed), without(sets.none()) {
  // The number of a set -> that of the same with the present rule.
  std::unordered_map<std::uint32_t, std::uint32_t> with_this;
  for (std::size_t place = 0; place < rules.size(); ++place) {
    const Rule& rule = rules[place];
    if (!rule.asks_for_host()) {
      RuleSets::add(without, place);
      continue;
    }
    with_this.clear();
    const auto add = [&](std::string_view pattern) -> Result<> {
      const Result<std::uint32_t*> number = table.at(pattern);
      if (!number) return std::unexpected(number.error());
      const auto [known, is_new] = with_this.try_emplace(**number);
      if (is_new) {
        const std::uint64_t* const before = sets.at(**number);
        RuleSets::Bits bits(before, before + sets.words());
        RuleSets::add(bits, place);
        known->second = sets.intern(bits);
      }
      **number = known->second;
      return {};
    };
    for (const std::string& pattern : rule.host) CHECK(add(pattern).has_value());
    (void)read_host_file(rule.host_names, add);  // its errors were told when it was loaded
  }
}

std::optional<Decision> Policy::decide(const Question& question) const {
  if (decisions_.empty()) return Decision{};
  // Each end by its own family: a load balancer may tell of clients in the other one.
  const auto rules_of = [this](const std::array<RuleIndex<Address>, 2>& index, const Endpoint& end) {
    return sets_.at(index[family_place(end.family())].find(end.address));
  };
  const std::uint64_t* const from = rules_of(from_, question.flow.client);
  const std::uint64_t* const to = rules_of(to_, question.flow.destination);
  const std::uint64_t* const port =
      sets_.at(ports_[static_cast<std::size_t>(question.proto)].find(question.flow.destination.port));
  std::array<const std::uint64_t*, HostTable::most_matches> named;
  std::size_t names = 0;
  if (question.claim)
    names_.table.match(question.claim->host, [&](std::uint32_t set) { named[names++] = sets_.at(set); });

  for (std::size_t word = 0; word < sets_.words(); ++word) {
    std::uint64_t candidates = from[word] & to[word] & port[word];
    if (question.claim && candidates != 0) {
      std::uint64_t by_host = names_.without[word];
      for (std::size_t i = 0; i < names; ++i) by_host |= named[i][word];
      candidates &= by_host;
    }
    for (; candidates != 0; candidates &= candidates - 1) {
      const auto place = static_cast<std::uint32_t>(word * 64 + static_cast<std::size_t>(std::countr_zero(candidates)));
      const Rule& rule = source_.rules[place];
      if (rule.time && !rule.time->contains(question.now)) continue;
      if (rule.asks_for_identity() && !question.claim) return std::nullopt;
      if (!rule.app.empty() && std::ranges::find(rule.app, question.claim->app) == rule.app.end()) continue;
      return decisions_[place];
    }
  }
  return Decision{};
}

const ListenerSettings* Policy::listener_at(const Endpoint& at) const {
  const auto found = std::ranges::find_if(source_.listeners, [&](const ListenerSettings& listener) {
    return std::ranges::find(listener.listen, at) != listener.listen.end();
  });
  return found == source_.listeners.end() ? nullptr : &*found;
}

std::optional<std::uint32_t> Policy::upstream_of(const ListenerSettings& listener) const {
  if (listener.action == action_rules) return std::nullopt;
  return place_of_upstream(source_, listener.action);
}

}  // namespace limpid
