// SPDX-License-Identifier: MIT
// In network namespaces of their own, with the kernel's real state before and after.
#include "intercept/installation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "intercept/example_plan.h"
#include "intercept/ruleset.h"
#include "net/fresh_namespace.h"

namespace limpid {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr auto no_patience = 0ms;

struct Installing : FreshNamespace {
  Plan plan = example_plan();

  void SetUp() override {
    FreshNamespace::SetUp();
    shell("ip rule add fwmark 0x1/0xff lookup 77 priority 50; ip route add 203.0.113.0/24 dev lo table 77");
    shell("nft add table inet other; nft add chain inet other input '{ type filter hook input priority 0; }'");
    before_ = kernel_state();
  }
  void TearDown() override { EXPECT_EQ(kernel_state(), expected_) << "not what it was before"; }
  // What is to be there at the end, other than what was there before.
  void expect_at_end(const std::string& state) { expected_ = state; }

  std::string before_;
  std::string expected_ = before_;
};

struct InstallationTest : Installing {
  void SetUp() override {
    Installing::SetUp();
    expected_ = before_;
  }
};

struct Variant {
  Plan plan;
  Conditions conditions;
};

Conditions conditions_of(int bits) {
  return {.taking = (bits & 1) != 0,
          .zones = (bits & 2) != 0,
          .early = (bits & 4) != 0,
          .cookies = (bits & 8) != 0,
          .filters = (bits & 16) != 0};
}

std::vector<Variant> every_variant() {
  std::vector<Variant> variants;
  for (int conditions = 0; conditions < 32; ++conditions)
    for (const bool local : {false, true})
      for (const WithoutUs without_us : {WithoutUs::open, WithoutUs::closed})
        for (const ListenerPorts ports :
             {ListenerPorts{40001, 40002}, ListenerPorts{40001, 0}, ListenerPorts{0, 40002}}) {
          Variant variant{example_plan(), conditions_of(conditions)};
          variant.plan.settings.local = local;
          variant.plan.settings.without_us = without_us;
          variant.plan.ports = ports;
          if (local) variant.plan.settings.bypass = {};
          variants.push_back(variant);
        }
  return variants;
}

TEST_F(InstallationTest, LoadsWhateverThePlanAndTheConditionsAndLeavesNothingBehind) {
  for (const auto& [variant, conditions] : every_variant()) {
    Result<Installation> installation = Installation::install(variant, conditions, no_patience);
    ASSERT_TRUE(installation) << installation.error().what << "\n" << ruleset(variant, conditions);
    const Removed removed = installation->withdraw(GuardFate::remove);
    EXPECT_THAT(removed.errors, IsEmpty());
  }
}

TEST_F(InstallationTest, WithdrawsWhenItGoesOutOfScope) {
  Result<Installation> installation = Installation::install(plan, {.taking = true}, no_patience);
  ASSERT_TRUE(installation) << installation.error().what;
  EXPECT_THAT(kernel_state(), HasSubstr("tproxy ip to 127.0.0.1:40001"));
}

TEST_F(InstallationTest, TakesEveryPortAndLeavesEveryAddressOut) {
  plan.settings.tcp = plan.settings.udp = {PortRange::all()};
  plan.settings.bypass = {*Prefix::parse("0.0.0.0/0"), *Prefix::parse("::/0"), *Prefix::parse("10.0.0.0/8")};
  plan.settings.without_us = WithoutUs::closed;
  Result<Installation> installation = Installation::install(plan, {.taking = true}, no_patience);
  ASSERT_TRUE(installation) << installation.error().what;
  installation->withdraw(GuardFate::remove);
}

// The lines in any order: sets that are kept come before those that are new.
std::string sorted_table() { return shell("nft list table inet limpid | sed 's/ # progname.*//' | sort"); }

TEST_F(InstallationTest, LeadsFromAnyConditionsToAnyOthersAndEndsWithTheSameRules) {
  plan.settings.local = true;
  std::vector<std::string> fresh;
  for (int bits = 0; bits < 32; ++bits) {
    const Result<Installation> installation = Installation::install(plan, conditions_of(bits), no_patience);
    ASSERT_TRUE(installation) << installation.error().what;
    fresh.push_back(sorted_table());
  }
  Result<Installation> installation = Installation::install(plan, {}, no_patience);
  ASSERT_TRUE(installation) << installation.error().what;
  // Each pair of zones, early and cookies; `taking` and `filters` come along both ways.
  for (int from = 0; from < 8; ++from)
    for (int to = 0; to < 8; ++to) {
      const int first = (to & 2) << 3 | from << 1 | (to & 1);
      const int second = (from & 2) << 3 | to << 1 | (from & 1);
      ASSERT_TRUE(installation->change(conditions_of(first)));
      const Result<> changed = installation->change(conditions_of(second));
      ASSERT_TRUE(changed) << changed.error().what << ": " << first << " -> " << second;
      EXPECT_EQ(installation->conditions(), conditions_of(second));
      EXPECT_EQ(sorted_table(), fresh[static_cast<std::size_t>(second)]) << first << " -> " << second;
    }
}

TEST_F(InstallationTest, StopsAndStartsTakingWithoutTouchingAnythingElse) {
  Result<Installation> installation = Installation::install(plan, {.taking = true}, no_patience);
  ASSERT_TRUE(installation) << installation.error().what;
  const std::string taking = shell("nft -a list table inet limpid");
  ASSERT_TRUE(installation->change({.taking = false}));
  const std::string stopped = shell("nft -a list table inet limpid");
  EXPECT_THAT(shell("nft list set inet limpid take_tcp"), Not(HasSubstr("elements")));
  EXPECT_THAT(shell("nft list set inet limpid tcp_ports"), HasSubstr("elements"));
  ASSERT_TRUE(installation->change({.taking = true}));
  EXPECT_EQ(shell("nft -a list table inet limpid"), taking);
  EXPECT_NE(stopped, taking);
}

TEST_F(InstallationTest, KeepsWhatTheSetsHaveLearntWhenTheRulesChange) {
  plan.settings.local = true;
  Result<Nft> nft = Nft::open();
  ASSERT_TRUE(nft);
  // Elements can be added by the owner alone: so the transition itself is run by hand.
  ASSERT_TRUE(nft->run(ruleset(plan, {.taking = true})));
  ASSERT_TRUE(nft->run("add element inet limpid taken4 { 192.0.2.1 . 1025 . 198.51.100.1 . 80 }\n"));
  const Conditions everything{.taking = true, .zones = true, .early = true, .cookies = true, .filters = true};
  ASSERT_TRUE(nft->run(transition({plan, {.taking = true}}, {plan, everything})));
  ASSERT_TRUE(nft->run(transition({plan, everything}, {plan, {}})));
  EXPECT_THAT(shell("nft list set inet limpid taken4"), HasSubstr("192.0.2.1 . 1025 . 198.51.100.1 . 80"));
}

TEST_F(InstallationTest, RefusesASecondInstanceInTheSameNamespaceAndLeavesTheFirstAlone) {
  Result<Installation> first = Installation::install(plan, {.taking = true}, no_patience);
  ASSERT_TRUE(first) << first.error().what;
  const std::string state = kernel_state();
  const Result<Installation> second = Installation::install(plan, {}, no_patience);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().what, HasSubstr("another limpid runs in this network namespace"));
  EXPECT_EQ(kernel_state(), state);
}

TEST_F(InstallationTest, WaitsForAWatcherThatIsCleaningUp) {
  Result<Nft> watcher = Nft::open();
  ASSERT_TRUE(watcher && claim(*watcher, no_patience));
  std::thread cleaning([held = std::move(*watcher), own = plan.settings.own_mark]() mutable {
    Nft nft = std::move(held);
    remove_leftovers(nft, own, GuardFate::keep);
  });
  const Result<Installation> installation = Installation::install(plan, {}, 5s);
  EXPECT_TRUE(installation) << installation.error().what;
  cleaning.join();
}

TEST_F(InstallationTest, LeavesAnOwnerlessTableOfItsNameToItsOwner) {
  shell("nft add table inet limpid; nft add chain inet limpid theirs");
  const std::string before = kernel_state();
  const Result<Installation> installation = Installation::install(plan, {.taking = true}, no_patience);
  ASSERT_FALSE(installation);
  EXPECT_THAT(installation.error().what, HasSubstr("a table inet limpid that is not limpid's"));
  EXPECT_EQ(kernel_state(), before);
  shell("nft delete table inet limpid");
}

TEST_F(InstallationTest, TakesOverFromADeadInstance) {
  for (const FibRoute& route : fib_routes(plan)) shell("ip " + route.text());
  for (const FibRule& rule : fib_rules(plan)) shell("ip " + rule.text());
  plan.settings.table = 5301;  // and configured otherwise since
  Result<Installation> installation = Installation::install(plan, {.taking = true}, no_patience);
  ASSERT_TRUE(installation) << installation.error().what;
  EXPECT_THAT(shell("ip rule; ip -6 rule"), Not(HasSubstr("5300")));
}

// Each step refused in turn by something that stands in its way.

struct Obstacle {
  std::string name;
  std::string command;
};

struct RefusedStep : Installing, ::testing::WithParamInterface<Obstacle> {
  void SetUp() override {
    Installing::SetUp();
    shell(GetParam().command);
    before_ = expected_ = kernel_state();
  }
};

TEST_P(RefusedStep, LeavesNothingBehind) {
  plan.settings.without_us = WithoutUs::closed;
  const Result<Installation> installation = Installation::install(plan, {.taking = true}, no_patience);
  ASSERT_FALSE(installation);
  EXPECT_THAT(installation.error().what, HasSubstr("RTM_NEWROUTE: File exists"));
  EXPECT_THAT(installation.error().what, Not(HasSubstr("undo")));
}

std::vector<Obstacle> obstacles() {
  std::vector<Obstacle> result;
  for (const FibRoute& route : fib_routes(example_plan())) {
    const std::string text = route.text();
    result.push_back({fmt::format("Route{}", family_name(route.family)), "ip " + text.substr(0, text.find(" proto"))});
  }
  return result;
}

INSTANTIATE_TEST_SUITE_P(, RefusedStep, ::testing::ValuesIn(obstacles()),
                         [](const auto& parameter) { return parameter.param.name; });

TEST_F(InstallationTest, LeavesNothingBehindWhenTheGuardIsRefused) {
  plan.settings.without_us = WithoutUs::closed;
  Result<Nft> somebody = Nft::open();
  ASSERT_TRUE(somebody && somebody->run("table inet limpid_guard { flags owner; }"));
  expect_at_end(before_);
  {
    const std::string state = kernel_state();
    const Result<Installation> installation = Installation::install(plan, {.taking = true}, no_patience);
    ASSERT_FALSE(installation);
    EXPECT_THAT(installation.error().what, HasSubstr("put the guard"));
    EXPECT_EQ(kernel_state(), state);
  }
}

TEST_F(InstallationTest, LeavesNothingBehindWhenAFibRuleIsRefused) {
  plan.settings.priority = 0xffffffff;  // the next one is 0, and the kernel refuses to go back
  const Result<Installation> installation = Installation::install(plan, {.taking = true}, no_patience);
  ASSERT_FALSE(installation);
  EXPECT_THAT(installation.error().what, HasSubstr("goto 0 protocol 153: RTM_NEWRULE: Invalid argument"));
}

TEST_F(InstallationTest, LeavesNothingBehindWhenTheTableIsRefused) {
  plan.settings.local = true;
  plan.cgroup = Cgroup{"no/such/group", 3};
  const Result<Installation> installation = Installation::install(plan, {.taking = true}, no_patience);
  ASSERT_FALSE(installation);
  EXPECT_EQ(
      installation.error().what,
      "fill the table inet limpid: nft: cgroupv2 path fails: No such file or directory; cgroupv2 path fails: No such "
      "file or directory");
}

TEST_F(InstallationTest, LeavesNothingBehindWhenTheLoopbackInterfaceIsDown) {
  shell("ip link set lo down");
  const Result<Installation> installation = Installation::install(plan, {.taking = true}, no_patience);
  ASSERT_FALSE(installation);
  expect_at_end(kernel_state());
  EXPECT_THAT(kernel_state(), Not(HasSubstr("limpid")));
  EXPECT_THAT(kernel_state(), Not(HasSubstr("5300")));
}

// The guard.

TEST_F(InstallationTest, LeavesTheGuardWhenItGoesOutOfScopeAndTheNextOneAdoptsIt) {
  plan.settings.without_us = WithoutUs::closed;
  {
    ASSERT_TRUE(Installation::install(plan, {.taking = true}, no_patience));
  }
  EXPECT_THAT(kernel_state(), HasSubstr("reject with tcp reset"));
  EXPECT_THAT(shell("ip rule; ip -6 rule"), Not(HasSubstr("5300")));
  Result<Installation> next = Installation::install(plan, {.taking = true}, no_patience);
  ASSERT_TRUE(next) << next.error().what;
  EXPECT_THAT(next->withdraw(GuardFate::remove).errors, IsEmpty());
}

TEST_F(InstallationTest, LeavesAnAdoptedGuardWhenItFails) {
  plan.settings.without_us = WithoutUs::closed;
  {
    ASSERT_TRUE(Installation::install(plan, {.taking = true}, no_patience));
  }
  const std::string guarded = kernel_state();
  plan.settings.local = true;
  plan.cgroup = Cgroup{"no/such/group", 3};
  ASSERT_FALSE(Installation::install(plan, {.taking = true}, no_patience));
  EXPECT_EQ(kernel_state(), guarded);
  expect_at_end(guarded);
}

TEST_F(InstallationTest, RemovesTheGuardOfAnEarlierConfigurationOnceItHasStarted) {
  plan.settings.without_us = WithoutUs::closed;
  {
    ASSERT_TRUE(Installation::install(plan, {.taking = true}, no_patience));
  }
  plan.settings.without_us = WithoutUs::open;
  Result<Installation> open = Installation::install(plan, {.taking = true}, no_patience);
  ASSERT_TRUE(open) << open.error().what;
  EXPECT_THAT(kernel_state(), Not(HasSubstr("limpid_guard")));
}

// Others at work.

TEST_F(InstallationTest, PutsBackWhatOthersHaveTakenAway) {
  plan.settings.without_us = WithoutUs::closed;
  Result<Installation> installation = Installation::install(plan, {.taking = true}, no_patience);
  ASSERT_TRUE(installation) << installation.error().what;
  EXPECT_THAT(*installation->restore(), IsEmpty());

  shell("nft flush ruleset; ip -4 rule del priority 100; ip -6 route flush table 5300");
  EXPECT_THAT(shell("nft list ruleset"), HasSubstr("table inet limpid {"));
  const auto restored = installation->restore();
  ASSERT_TRUE(restored) << restored.error().what;
  EXPECT_THAT(*restored, UnorderedElementsAre("table inet limpid_guard", HasSubstr("-4 rule add priority 100"),
                                              HasSubstr("-6 route add local default dev lo table 5300")));
  shell("nft flush table inet limpid_guard");
  EXPECT_THAT(*installation->restore(), SizeIs(1));
  shell("nft add table inet other; nft add chain inet other input '{ type filter hook input priority 0; }'");
  EXPECT_THAT(*installation->restore(), IsEmpty());
  EXPECT_THAT(installation->withdraw(GuardFate::remove).errors, IsEmpty());
}

TEST_F(InstallationTest, WithdrawsWhatIsLeftWhenOthersHaveTakenSomeOfItAway) {
  plan.settings.without_us = WithoutUs::closed;
  Result<Installation> installation = Installation::install(plan, {.taking = true}, no_patience);
  ASSERT_TRUE(installation) << installation.error().what;
  shell("nft delete table inet limpid_guard; ip -4 rule del priority 100; ip -6 route flush table 5300");
  const Removed removed = installation->withdraw(GuardFate::remove);
  EXPECT_THAT(removed.errors, IsEmpty());
  EXPECT_THAT(installation->withdraw(GuardFate::remove).what, IsEmpty());
}

TEST_F(InstallationTest, SaysWhatIsInstalled) {
  plan.settings.without_us = WithoutUs::closed;
  Result<Installation> installation = Installation::install(plan, {.taking = true}, no_patience);
  ASSERT_TRUE(installation) << installation.error().what;
  EXPECT_THAT(installation->lines(), SizeIs(2 + 6 + 2));
  installation->withdraw(GuardFate::remove);
  EXPECT_THAT(installation->lines(), IsEmpty());
}

TEST_F(InstallationTest, IsDescribedInWordsThatNftAndIpUnderstand) {
  plan.settings.without_us = WithoutUs::closed;
  plan.settings.local = true;
  const std::string text =
      describe(plan, {.taking = true, .zones = true, .early = true, .cookies = true, .filters = true});
  shell("cat > /dev/null <<'END'\n" + text + "END\n");
  {
    NetworkNamespace elsewhere = std::move(*NetworkNamespace::create());
    const NetworkNamespace::Inside inside(elsewhere);
    shell("grep '^ip ' <<'END' | sh -e\n" + text + "END\n");
    shell("grep -v '^ip ' <<'END' | nft -f -\n" + text + "END\n");
    EXPECT_THAT(kernel_state(), HasSubstr("limpid_guard"));
    EXPECT_THAT(shell("ip rule"), HasSubstr("lookup 5300"));
  }
}

}  // namespace
}  // namespace limpid
