// SPDX-License-Identifier: MIT
#include "intercept/leftovers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "intercept/example_plan.h"
#include "intercept/guard.h"
#include "net/fresh_namespace.h"

namespace limpid {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct LeftoversTest : FreshNamespace {
  Plan plan = example_plan();
  std::string before;

  void SetUp() override {
    FreshNamespace::SetUp();
    shell("ip rule add fwmark 0x1/0xff lookup 77 priority 50; ip route add 203.0.113.0/24 dev lo table 5300 proto 4");
    before = kernel_state();
  }
  void leave_everything() const {
    for (const FibRoute& route : fib_routes(plan))
      if (route.family == AF_INET6) shell("ip " + route.text());
    shell("ip route add local 192.0.2.0/24 dev lo table 99 proto 153");  // of another configuration
    for (const FibRule& rule : fib_rules(plan)) shell("ip " + rule.text());
    shell("nft -f - <<'END'\n" + guard(plan) + "END");
  }
  Removed clean(GuardFate fate) const {
    const Result<Removed> removed = clean_up(plan.settings.own_mark, fate, 0ms);
    EXPECT_TRUE(removed) << removed.error().what;
    return removed ? *removed : Removed{};
  }
};

TEST_F(LeftoversTest, GoAndNothingElseDoes) {
  leave_everything();
  const Removed removed = clean(GuardFate::remove);
  EXPECT_THAT(removed.errors, IsEmpty());
  EXPECT_THAT(removed.what, SizeIs(6 + 1 + 1));
  EXPECT_THAT(removed.what, Contains("table inet limpid_guard"));
  const std::string rest = shell("ip route show table 99 2>/dev/null || true");
  EXPECT_EQ(rest, "local 192.0.2.0/24 dev lo proto 153 scope host \n")
      << "a route that is not one of ours to the letter";
  shell("ip route flush table 99");
  EXPECT_EQ(kernel_state(), before);
}

TEST_F(LeftoversTest, AreFoundOnce) {
  leave_everything();
  clean(GuardFate::remove);
  shell("ip route flush table 99");
  const Removed again = clean(GuardFate::remove);
  EXPECT_THAT(again.what, IsEmpty());
  EXPECT_THAT(again.errors, IsEmpty());
}

TEST_F(LeftoversTest, IncludeTheGuardOnlyIfSoTold) {
  leave_everything();
  EXPECT_THAT(clean(GuardFate::keep).errors, IsEmpty());
  EXPECT_THAT(shell("nft list tables"), HasSubstr("limpid_guard"));
}

TEST_F(LeftoversTest, AreNotASomebodyElsesTableOfOurName) {
  shell("nft add table inet limpid; nft add chain inet limpid theirs");
  const std::string state = kernel_state();
  const Result<Removed> removed = clean_up(plan.settings.own_mark, GuardFate::remove, 0ms);
  ASSERT_FALSE(removed);
  EXPECT_THAT(removed.error().what, HasSubstr("a table inet limpid that is not limpid's"));
  EXPECT_EQ(kernel_state(), state);
}

TEST_F(LeftoversTest, AreNotTakenFromALivingInstance) {
  Result<Nft> nft = Nft::open();
  ASSERT_TRUE(nft && claim(*nft, 0ms));
  shell("ip " + fib_rules(plan).front().text());
  const std::string state = kernel_state();
  const Result<Removed> removed = clean_up(plan.settings.own_mark, GuardFate::remove, 0ms);
  ASSERT_FALSE(removed);
  EXPECT_THAT(removed.error().what, HasSubstr("another limpid runs in this network namespace"));
  EXPECT_EQ(kernel_state(), state);
}

}  // namespace
}  // namespace limpid
