// SPDX-License-Identifier: MIT
#include "intercept/rules_instances.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "intercept/fib.h"
#include "intercept/leftovers.h"
#include "intercept/rules_text.h"
#include "intercept/standing_rules.h"
#include "net/fresh_namespace.h"

namespace limpid {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

Plan web_plan(const std::string& name = "web") {
  Plan plan;
  plan.settings.interfaces = {"lan0"};
  plan.settings.tcp = {{80, 80}};
  plan.ports = {.ipv4 = 3129, .ipv6 = 3129};
  plan.whose = {.name = name, .protocol = limpid_protocol, .stays = true};
  plan.worker_uid.reset();
  return plan;
}

TEST(RulesInstances, EachPlaceHasNumbersOfItsOwn) {
  std::set<std::uint32_t> marks = {0}, tables = {Intercept().table}, priorities;
  std::set<std::uint8_t> protocols = {limpid_protocol};
  for (std::uint32_t off = 0; off < 3; ++off) priorities.insert(Intercept().priority - 1 + off);
  for (int place = 0; place < most_rules; ++place) {
    const Result<Plan> plan = with_numbers_of(place, web_plan(), {});
    ASSERT_TRUE(plan) << plan.error().what;
    const Intercept& settings = plan->settings;
    EXPECT_TRUE(protocols.insert(plan->whose.protocol).second);
    EXPECT_TRUE(tables.insert(settings.table).second);
    for (const Mark mark : {settings.mark, settings.local_mark}) {
      EXPECT_TRUE(marks.insert(mark.bits & mark.mask).second) << place;
      for (const Mark other : {Intercept().mark, Intercept().local_mark, Intercept().own_mark})
        EXPECT_EQ(mark.mask & other.mask, 0U);
    }
    for (std::uint32_t off = 0; off < 3; ++off) EXPECT_TRUE(priorities.insert(settings.priority - 1 + off).second);
  }
}

TEST(RulesInstances, WhatIsGivenIsTaken) {
  const GivenNumbers given{.mark = Mark{1, 1}, .local_mark = Mark{2, 2}, .table = 7, .priority = 9};
  const Result<Plan> plan = with_numbers_of(3, web_plan(), given);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->settings.mark, (Mark{1, 1}));
  EXPECT_EQ(plan->settings.local_mark, (Mark{2, 2}));
  EXPECT_EQ(plan->settings.table, 7U);
  EXPECT_EQ(plan->settings.priority, 9U);
  GivenNumbers half_of_the_marks;
  half_of_the_marks.mark = Mark{0x01000000, 0x01000000};
  EXPECT_FALSE(with_numbers_of(3, web_plan(), half_of_the_marks));
}

TEST(RulesInstances, TheProtocolStandsInTheComment) {
  const Result<Plan> plan = with_numbers_of(2, web_plan(), {});
  EXPECT_EQ(protocol_in(standing_tables(*plan, {})), plan->whose.protocol);
  for (const char* const text : {"", "comment \"limpid rules, protocol \"", "comment \"limpid rules, protocol 153\"",
                                 "comment \"limpid rules, protocol 4000000000000\"", "comment \"squid\""})
    EXPECT_EQ(protocol_in(text), 0) << text;
}

TEST(RulesInstances, AForeignProxysSocketsAreNotAskedForAMark) {
  Plan plan = *with_numbers_of(0, web_plan(), {});
  plan.settings.local = true;
  plan.settings.udp = {{53, 53}};
  plan.settings.without_us = WithoutUs::closed;
  plan.worker_uid = 64123;
  const std::string text = standing_tables(plan, {.taking = true, .zones = true, .cookies = true});
  EXPECT_THAT(text, Not(HasSubstr("socket mark")));
  EXPECT_THAT(text, Not(HasSubstr("& 0x00000000 ==")));
  EXPECT_THAT(text, Not(HasSubstr("flags owner")));
  EXPECT_THAT(text, HasSubstr("meta skuid 64123 accept"));
}

struct RulesInstancesThere : FreshNamespace {
  // Not at once: it belongs to the namespace it was opened in.
  void SetUp() override {
    FreshNamespace::SetUp();
    Result<Nft> opened = Nft::open();
    ASSERT_TRUE(opened) << opened.error().what;
    nft_.emplace(std::move(*opened));
  }
  Nft& nft() { return *nft_; }

  Plan installed(const std::string& name) {
    const Result<Plan> plan = with_free_numbers(nft(), web_plan(name), {});
    EXPECT_TRUE(plan) << plan.error().what;
    const Result<> done = install_standing(nft(), *plan, {.taking = true});
    EXPECT_TRUE(done) << done.error().what;
    return *plan;
  }

 private:
  std::optional<Nft> nft_;
};

TEST_F(RulesInstancesThere, AreFoundByTheirNamesAndRemoved) {
  const std::string before = kernel_state();
  const Plan web = installed("web"), mail = installed("mail");
  EXPECT_NE(web.whose.protocol, mail.whose.protocol);
  const auto instances = *rules_instances(nft());
  ASSERT_THAT(instances, SizeIs(2));
  EXPECT_EQ(instances[0].whose, mail.whose);
  EXPECT_EQ(instances[1].whose, web.whose);
  EXPECT_THAT(*orphaned_protocols(instances), IsEmpty());
  EXPECT_THAT(*lines_of(instances[1]), SizeIs(2 * 4 + 1));
  for (const RulesInstance& instance : instances) EXPECT_THAT(remove_standing(nft(), instance).errors, IsEmpty());
  EXPECT_EQ(kernel_state(), before);
}

TEST_F(RulesInstancesThere, WhatHasLostItsTableIsAnOrphan) {
  const Plan web = installed("web");
  shell("nft delete table inet limpid_rules_web");
  EXPECT_THAT(*orphaned_protocols(*rules_instances(nft())), ElementsAre(web.whose.protocol));
}

TEST_F(RulesInstancesThere, OneChangesThemAtATime) {
  Result<Nft> lock = lock_rules(std::chrono::milliseconds(0));
  ASSERT_TRUE(lock) << lock.error().what;
  const Result<Nft> other = lock_rules(std::chrono::milliseconds(0));
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().what, HasSubstr("try again"));
  lock = failure("let go");
  EXPECT_TRUE(lock_rules(std::chrono::milliseconds(0)));
}

TEST_F(RulesInstancesThere, CleaningUpAfterOneLeavesTheOthers) {
  const Plan web = installed("web");
  const std::string before = kernel_state();
  const Result<Removed> removed = clean_up({}, GuardFate::remove, std::chrono::milliseconds(0),
                                           {.name = "mail", .protocol = first_rules_protocol + 1});
  ASSERT_TRUE(removed) << removed.error().what;
  EXPECT_THAT(removed->what, IsEmpty());
  EXPECT_TRUE(clean_up(Mark{0x40000000, 0x40000000}, GuardFate::remove, std::chrono::milliseconds(0)));
  EXPECT_EQ(kernel_state(), before);
}

}  // namespace
}  // namespace limpid
