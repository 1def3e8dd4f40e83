// SPDX-License-Identifier: MIT
#include "policy/policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "policy/policy_bytes.h"

namespace limpid {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

Rule rule(std::string name, std::string action) {
  Rule made;
  made.name = std::move(name);
  made.action = std::move(action);
  return made;
}

Upstream upstream(std::string name) {
  Upstream made;
  made.name = std::move(name);
  made.address = {*Endpoint::parse("192.0.2.7:1080")};
  return made;
}

Question question(const char* client, const char* destination, std::optional<Claim> claim = std::nullopt) {
  return {.flow = {*Endpoint::parse(client), *Endpoint::parse(destination)}, .claim = claim};
}

constexpr HashSeed seed{1, 2};

TEST(Policy, WithoutRulesEverythingGoesDirect) {
  const Policy policy({}, seed);
  EXPECT_EQ(policy.decide(question("10.0.0.1:5000", "203.0.113.9:443")), Decision());
}

TEST(Policy, TheFirstRuleThatMatchesDecides) {
  Rule office = rule("office", "office"), lan = rule("lan", "direct"), rest = rule("rest", "drop");
  office.to = {*Prefix::parse("203.0.113.0/24"), *Prefix::parse("2001:db8:1::/48")};
  office.port = {{443, 443}};
  lan.from = {*Prefix::parse("10.0.0.0/8")};
  const Policy policy({{office, lan, rest}, {upstream("other"), upstream("office")}}, seed);
  const auto decided = [&](const char* client, const char* destination) {
    return *policy.decide(question(client, destination));
  };
  EXPECT_EQ(decided("10.0.0.1:5000", "203.0.113.9:443"), (Decision{Action::upstream, 0, 1}));
  EXPECT_EQ(decided("10.0.0.1:5000", "203.0.113.9:80"), (Decision{Action::direct, 1}));
  EXPECT_EQ(decided("10.0.0.1:5000", "203.0.114.0:443"), (Decision{Action::direct, 1}));
  EXPECT_EQ(decided("11.0.0.1:5000", "203.0.112.255:443"), (Decision{Action::drop, 2}));
  EXPECT_EQ(decided("[2001:db8::2]:5000", "[2001:db8:1:ffff::1]:443"), (Decision{Action::upstream, 0, 1}));
  EXPECT_EQ(decided("[2001:db8::2]:5000", "[2001:db8:2::]:443"), (Decision{Action::drop, 2}));
}

TEST(Policy, AsksForAClaimOnlyWhereARuleThatMayMatchNeedsOne) {
  Rule ads = rule("ads", "reject"), https = rule("https", "direct");
  ads.from = {*Prefix::parse("10.1.0.0/16")};
  ads.host = {"*.ads.example"};
  https.port = {{443, 443}};
  const Policy policy({{https, ads}, {}}, seed);
  EXPECT_EQ(policy.decide(question("10.1.0.1:5000", "203.0.113.9:443")), (Decision{Action::direct, 0}));
  EXPECT_EQ(policy.decide(question("10.2.0.1:5000", "203.0.113.9:80")), Decision());
  EXPECT_EQ(policy.decide(question("10.1.0.1:5000", "203.0.113.9:80")), std::nullopt);
  const auto with = [&](std::string_view host) {
    return policy.decide(question("10.1.0.1:5000", "203.0.113.9:80", Claim{host, Application::http}));
  };
  EXPECT_EQ(with("x.ads.example"), (Decision{Action::reject, 1}));
  EXPECT_EQ(with("ads.example"), Decision());
  EXPECT_EQ(with(""), Decision());
}

TEST(Policy, LooksAtApplicationProtocolAndTimeOfDay) {
  Rule tls = rule("tls", "drop"), night = rule("night", "reject"), udp = rule("udp", "drop");
  tls.app = {Application::tls, Application::quic};
  night.time = DayPart{hours(22), hours(6)};
  night.proto = Protocol::tcp;
  udp.proto = Protocol::udp;
  const Policy policy({{night, udp, tls}, {}}, seed);
  Question asked = question("10.0.0.1:5000", "203.0.113.9:443");
  for (const minutes at : {minutes(hours(22)), minutes(hours(23)), minutes(0), minutes(359)}) {
    asked.now = at;
    EXPECT_EQ(policy.decide(asked), (Decision{Action::reject, 0})) << at.count();
  }
  asked.now = hours(6);
  EXPECT_EQ(policy.decide(asked), std::nullopt);
  asked.claim = Claim{"", Application::quic};
  EXPECT_EQ(policy.decide(asked), (Decision{Action::drop, 2}));
  asked.claim = Claim{"", Application::ssh};
  EXPECT_EQ(policy.decide(asked), Decision());
  asked.proto = Protocol::udp;
  EXPECT_EQ(policy.decide(asked), (Decision{Action::drop, 1}));
}

TEST(Policy, TakesTheNamesOfAFileForItsRules) {
  Rule listed = rule("listed", "reject"), both = rule("both", "drop");
  listed.host_file = "/hosts";
  listed.host_names = "0.0.0.0 a.example\nb.example\n*.c.example\n";
  both.host = {"b.example", "d.example"};
  const Policy policy({{both, listed}, {}}, seed);
  const auto with = [&](std::string_view host) {
    return policy.decide(question("10.1.0.1:5000", "203.0.113.9:80", Claim{host, Application::http}))->rule;
  };
  EXPECT_EQ(with("a.example"), 1);
  EXPECT_EQ(with("b.example"), 0);
  EXPECT_EQ(with("x.c.example"), 1);
  EXPECT_EQ(with("d.example"), 0);
  EXPECT_EQ(with("e.example"), std::nullopt);
}

// ---- Against the plain reading of the rules, on rules and flows made by chance.

bool matches(const Rule& rule, const Question& asked) {
  const auto has = [](const std::vector<Prefix>& prefixes, const Address& address) {
    return prefixes.empty() || std::ranges::any_of(prefixes, [&](const Prefix& one) { return one.contains(address); });
  };
  const std::uint16_t port = asked.flow.destination.port;
  const auto is_port = [&](const PortRange& range) { return range.first <= port && port <= range.last; };
  const auto is_host = [&](const std::string& pattern) {
    return pattern.starts_with('*') ? asked.claim->host.ends_with(pattern.substr(1)) : asked.claim->host == pattern;
  };
  return has(rule.from, asked.flow.client.address) && has(rule.to, asked.flow.destination.address) &&
         (rule.port.empty() || std::ranges::any_of(rule.port, is_port)) && (!rule.proto || rule.proto == asked.proto) &&
         (!rule.time || rule.time->contains(asked.now)) &&
         (rule.app.empty() || std::ranges::find(rule.app, asked.claim->app) != rule.app.end()) &&
         (rule.host.empty() || std::ranges::any_of(rule.host, is_host));
}

class Chance {
 public:
  std::uint32_t below(std::uint32_t bound) {
    return std::uniform_int_distribution<std::uint32_t>(0, bound - 1)(engine_);
  }
  bool one_in(std::uint32_t bound) { return below(bound) == 0; }
  Address address() {
    const std::uint8_t bytes[16] = {10, byte(), 0, byte(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte()};
    return Address::from_bytes(one_in(3) ? AF_INET6 : AF_INET, bytes);
  }
  Prefix prefix() {
    const Address whole = address();
    const int length = static_cast<int>(below(static_cast<std::uint32_t>(whole.bits()) + 1));
    std::array<std::uint8_t, 16> bytes{};
    for (int bit = 0; bit < length; ++bit)
      bytes[static_cast<std::size_t>(bit / 8)] |= static_cast<std::uint8_t>(whole.bytes()[bit / 8] & 0x80 >> bit % 8);
    return {Address::from_bytes(whole.family(), bytes.data()), length};
  }
  PortRange ports() {
    const auto first = static_cast<std::uint16_t>(1 + below(20));
    return {first, static_cast<std::uint16_t>(first + below(5))};
  }
  std::string host() {
    std::string name = "x";
    for (std::uint32_t labels = 1 + below(3); labels > 0; --labels)
      name += fmt::format(".{}", static_cast<char>('a' + below(3)));
    return name.substr(2);
  }
  Rule rule(std::size_t place) {
    Rule made;
    made.name = fmt::format("rule {}", place);
    made.action = one_in(2) ? "drop" : "reject";
    while (one_in(2)) made.from.push_back(prefix());
    while (one_in(2)) made.to.push_back(prefix());
    while (one_in(2)) made.port.push_back(ports());
    if (one_in(4)) made.proto = one_in(2) ? Protocol::tcp : Protocol::udp;
    while (one_in(3)) made.host.push_back((one_in(2) ? "*." : "") + host());
    while (one_in(4)) made.app.push_back(static_cast<Application>(below(applications)));
    if (one_in(5)) made.time = DayPart{minutes(below(1440)), minutes(below(1440))};
    return made;
  }

 private:
  std::uint8_t byte() { return static_cast<std::uint8_t>(below(4)); }
  std::mt19937 engine_{4};
};

TEST(Policy, DecidesAsAPlainReadingOfTheRulesWould) {
  Chance chance;
  std::size_t decided_by_rule = 0;
  for (int round = 0; round < 60; ++round) {
    std::vector<Rule> rules;
    const std::size_t size = chance.below(200);
    for (std::size_t place = 0; place < size; ++place) rules.push_back(chance.rule(place));
    const Policy policy({rules, {}}, seed);
    for (int i = 0; i < 300; ++i) {
      const std::string host = chance.host();
      Question asked{.flow = {{chance.address(), 1}, {}},
                     .proto = chance.one_in(2) ? Protocol::tcp : Protocol::udp,
                     .now = minutes(chance.below(1440)),
                     .claim = Claim{host, static_cast<Application>(chance.below(applications))}};
      asked.flow.destination = {chance.address(), static_cast<std::uint16_t>(1 + chance.below(25))};
      const auto first = std::ranges::find_if(rules, [&](const Rule& one) { return matches(one, asked); });
      const std::optional<Decision> decision = policy.decide(asked);
      ASSERT_TRUE(decision);
      ASSERT_EQ(decision->rule, first == rules.end() ? std::nullopt : std::optional(first - rules.begin()));
      decided_by_rule += decision->rule ? 1 : 0;
      // Without the claim: the same, or that it takes one.
      asked.claim = std::nullopt;
      ASSERT_EQ(policy.decide(asked).value_or(*decision), *decision);
    }
  }
  EXPECT_GT(decided_by_rule, 5000U);
}

TEST(Policy, KnowsTheListenersOfTheUserByWhereTheyAre) {
  const Endpoint here = *Endpoint::parse("192.0.2.1:443"), there = *Endpoint::parse("192.0.2.1:80");
  PolicySource source;
  source.upstreams = {upstream("one"), upstream("two")};
  source.listeners = {{.name = "a", .listen = {here}, .trusted = {}, .action = "two"},
                      {.name = "b", .listen = {there}, .trusted = {}}};
  const Policy policy(source, seed);
  EXPECT_EQ(policy.upstream_of(*policy.listener_at(here)), 1U);
  EXPECT_EQ(policy.listener_at(there)->name, "b");
  EXPECT_EQ(policy.upstream_of(*policy.listener_at(there)), std::nullopt);
  EXPECT_EQ(policy.listener_at(*Endpoint::parse("192.0.2.2:80")), nullptr);
}

TEST(PolicyBytes, AreReadBackAsTheSamePolicy) {
  Chance chance;
  PolicySource source;
  for (std::size_t place = 0; place < 100; ++place) source.rules.push_back(chance.rule(place));
  source.rules[0].host_file = "/hosts";
  source.rules[0].verify_host = true;
  source.rules[0].host_names = std::string(100000, 'a');
  source.upstreams = {upstream("one"), upstream("two")};
  source.upstreams[1].password = "secret";
  source.upstreams[1].check = UpstreamCheck::handshake;
  source.listeners = {{.name = "lb",
                       .listen = {*Endpoint::parse("192.0.2.1:443")},
                       .accept = Accept::transparent,
                       .trusted = {*Prefix::parse("192.0.2.0/24")},
                       .action = "one",
                       .fast_open = true}};
  const std::string bytes = to_bytes(source);
  const Result<PolicySource> again = policy_from_bytes(bytes);
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, source);
  EXPECT_FALSE(policy_from_bytes(std::string_view(bytes).substr(1)));
  EXPECT_FALSE(policy_from_bytes(std::string_view(bytes).substr(0, bytes.size() - 1)));
  EXPECT_FALSE(policy_from_bytes(bytes + "x"));
}

}  // namespace
}  // namespace limpid
