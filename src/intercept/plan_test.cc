// SPDX-License-Identifier: MIT
#include "intercept/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "intercept/example_plan.h"

namespace limpid {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

std::vector<std::string> texts(const auto& things) {
  std::vector<std::string> result;
  for (const auto& thing : things) result.push_back(thing.text());
  return result;
}

TEST(Plan, HasThreeFibRulesAndARouteForAFamily) {
  Plan plan = example_plan();
  plan.ports.ipv6 = 0;
  EXPECT_THAT(texts(fib_rules(plan)),
              ElementsAre("-4 rule add priority 101 iif lo fwmark 0x20000000/0x20000000 lookup 5300 protocol 153",
                          "-4 rule add priority 100 fwmark 0x10000000/0x10000000 lookup 5300 protocol 153",
                          "-4 rule add priority 99 iif lo fwmark 0x10000000/0x10000000 goto 101 protocol 153"));
  EXPECT_THAT(texts(fib_routes(plan)), ElementsAre("-4 route add local default dev lo table 5300 proto 153"));
}

TEST(Plan, HasTheSameForEachFamilyThatIsServedWhateverTheInterfaces) {
  Plan plan = example_plan();
  EXPECT_EQ(fib_rules(plan).size(), 6U);
  EXPECT_EQ(fib_routes(plan).size(), 2U);
  plan.settings.interfaces.resize(50, "x");
  EXPECT_EQ(fib_rules(plan).size(), 6U);
  plan.ports = {};
  EXPECT_TRUE(fib_rules(plan).empty() && fib_routes(plan).empty());
}

TEST(Plan, HasARuleMoreForAnUpstreamOnALoopbackAddress) {
  Plan plan = example_plan();
  plan.upstreams = {*Endpoint::parse("127.0.0.1:8080"), *Endpoint::parse("192.0.2.7:80"), *Endpoint::parse("[::1]:81")};
  const std::vector<std::string> rules = texts(fib_rules(plan));
  EXPECT_EQ(rules.size(), 8U);
  EXPECT_THAT(
      rules,
      Contains("-4 rule add priority 101 from 127.0.0.1 iif lo ipproto tcp sport 8080 lookup 5300 protocol 153"));
  EXPECT_THAT(rules,
              Contains("-6 rule add priority 101 from ::1 iif lo ipproto tcp sport 81 lookup 5300 protocol 153"));
}

TEST(Held, IsWhatWasTakenAndIsNotAnyMore) {
  Intercept first, second;
  first.interfaces = {"lan0", "lan1"};
  first.tcp = {{80, 80}};
  first.local = true;
  second.interfaces = {"lan1"};
  second.tcp = {{443, 443}};
  Plan plan{.settings = first, .ports = {}, .cgroup = {}};
  EXPECT_EQ(plan.held.changed(first, first).interfaces, std::vector<std::string>());

  plan.held = plan.held.changed(first, second);
  plan.settings = second;
  EXPECT_EQ(plan.held.interfaces, std::vector<std::string>{"lan0"});
  EXPECT_TRUE(plan.held.local);
  EXPECT_EQ(plan.live_tcp(), (std::vector<PortRange>{{80, 80}, {443, 443}}));

  plan.held = plan.held.changed(second, first);
  plan.settings = first;
  EXPECT_EQ(plan.held.interfaces, std::vector<std::string>());
  EXPECT_FALSE(plan.held.local);
  EXPECT_EQ(plan.live_tcp(), (std::vector<PortRange>{{80, 80}, {443, 443}}));
}

TEST(Plan, IsEmptyWhereListenersTakeSocketsAlone) {
  Config config;
  config.upstreams.emplace_back().name = "web";
  config.listeners.emplace_back().action = "web";
  EXPECT_FALSE(wants_kernel(config));
  config.upstreams[0].source = Source::client;
  EXPECT_TRUE(wants_kernel(config));
  config.upstreams[0].source = Source::self;
  config.upstreams[0].when_down = WhenDown::direct;
  EXPECT_TRUE(wants_kernel(config));
  config.upstreams[0].when_down = WhenDown::reject;
  config.listeners[0].accept = Accept::transparent;
  EXPECT_TRUE(wants_kernel(config));
  config.listeners[0].accept = Accept::proxy_protocol;
  EXPECT_FALSE(wants_kernel(config));
  config.listeners[0].action = action_rules;
  EXPECT_TRUE(wants_kernel(config));
}

}  // namespace
}  // namespace limpid
