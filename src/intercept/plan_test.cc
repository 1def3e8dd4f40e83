// SPDX-License-Identifier: MIT
#include "intercept/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "intercept/example_plan.h"

namespace limpid {
namespace {

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

}  // namespace
}  // namespace limpid
