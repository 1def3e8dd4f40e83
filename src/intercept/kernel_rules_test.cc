// SPDX-License-Identifier: MIT
#include "intercept/kernel_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace limpid {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

Rule rule(std::string_view action) {
  Rule made;
  made.action = action;
  return made;
}

Rule to(const char* prefix, std::string_view action) {
  Rule made = rule(action);
  made.to = {*Prefix::parse(prefix)};
  return made;
}

TEST(KernelRules, AreThoseAboutAddressesAndPortsThatNameNoUpstream) {
  Rule host = to("10.0.0.0/8", action_reject), time = host, app = host;
  host.host = {"a.example"};
  time.time = DayPart{std::chrono::hours(1), std::chrono::hours(2)};
  app.app = {Application::tls};
  const KernelRules made = kernel_rules(
      {to("192.0.2.0/24", action_drop), host, time, app, to("10.0.0.0/8", "office"), to("10.0.0.0/8", action_direct)});
  EXPECT_THAT(made.decides, ElementsAre(true, false, false, false, false, true));
  // What may match one of ours is taken before the last rule is asked.
  EXPECT_THAT(
      made.tcp,
      ElementsAre(KernelRule{.from = {}, .to = {*Prefix::parse("192.0.2.0/24")}, .port = {}, .verdict = Verdict::drop},
                  KernelRule{.from = {}, .to = {*Prefix::parse("10.0.0.0/8")}, .port = {}, .verdict = Verdict::take},
                  KernelRule{.from = {}, .to = {*Prefix::parse("10.0.0.0/8")}, .port = {}, .verdict = Verdict::pass}));
  EXPECT_EQ(made.udp, made.tcp);
}

TEST(KernelRules, LeaveDnsToUsWhereAHostIsVerified) {
  Rule verified = rule(action_direct);
  verified.host = {"a.example"};
  EXPECT_FALSE(kernel_rules({rule(action_direct), verified}).watches_dns);
  verified.verify_host = true;
  const KernelRules made = kernel_rules({rule(action_direct), verified});
  EXPECT_TRUE(made.watches_dns);
  EXPECT_THAT(made.decides, ElementsAre(true, false));
  const auto dns_first = ElementsAre(KernelRule{.from = {}, .to = {}, .port = {{53, 53}}, .verdict = Verdict::take},
                                     KernelRule{.from = {}, .to = {}, .port = {}, .verdict = Verdict::pass});
  EXPECT_THAT(made.tcp, dns_first);
  EXPECT_THAT(made.udp, dns_first);
}

TEST(KernelRules, AreOfTheirProtocolAlone) {
  Rule udp = rule(action_reject);
  udp.proto = Protocol::udp;
  const KernelRules made = kernel_rules({udp});
  EXPECT_THAT(made.tcp, SizeIs(0));
  EXPECT_THAT(made.udp, SizeIs(1));
  EXPECT_THAT(made.decides, ElementsAre(true));
}

TEST(KernelRules, EndBehindOneThatMatchesEverything) {
  const KernelRules made =
      kernel_rules({to("10.0.0.0/8", action_direct), rule(action_reject), to("192.0.2.0/24", action_direct)});
  EXPECT_THAT(made.tcp, SizeIs(2));
  EXPECT_THAT(made.decides, ElementsAre(true, true, false));
}

TEST(KernelRules, TakeNothingMoreThanWithoutThem) {
  Rule host = rule(action_reject);
  host.host = {"a.example"};
  EXPECT_THAT(kernel_rules({host, to("10.0.0.0/8", action_direct)}).tcp, SizeIs(0));
}

TEST(KernelRules, FallTogetherWhereTheyDifferInOneThingOnly) {
  std::vector<Rule> rules;
  for (int net = 0; net < 200; ++net) rules.push_back(to(fmt::format("10.{}.0.0/16", net).c_str(), action_drop));
  rules.push_back(to("192.0.2.0/24", action_reject));
  const KernelRules made = kernel_rules(rules);
  ASSERT_THAT(made.tcp, SizeIs(2));
  EXPECT_THAT(made.tcp[0].to, SizeIs(200));
}

TEST(KernelRules, AreBoundedAndTheRestIsOurs) {
  std::vector<Rule> rules;
  for (int net = 0; net < 200; ++net)
    rules.push_back(to(fmt::format("10.{}.0.0/16", net).c_str(), net % 2 == 0 ? action_drop : action_reject));
  const KernelRules made = kernel_rules(rules);
  EXPECT_THAT(made.tcp, SizeIs(most_kernel_rules));
  EXPECT_EQ(std::ranges::count(made.decides, true), most_kernel_rules);
  EXPECT_TRUE(made.decides[most_kernel_rules - 1] && !made.decides[most_kernel_rules]);
}

}  // namespace
}  // namespace limpid
