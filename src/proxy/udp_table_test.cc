// SPDX-License-Identifier: MIT
#include "proxy/udp_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace limpid {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Flow flow(int client, int port, int destination = 1) {
  return {{*Address::parse(fmt::format("10.0.0.{}", client)), static_cast<std::uint16_t>(port)},
          {*Address::parse(fmt::format("203.0.113.{}", destination)), 443}};
}

struct UdpTableTest : ::testing::Test {
  UdpLimits limits{
      .flows = 4, .flows_per_client = 3, .unanswered_timeout = seconds(30), .answered_timeout = seconds(180)};
  Reactor::Clock::time_point now{};
  std::vector<std::pair<std::uint16_t, CloseReason>> ended;  // the client's port
  int for_want_of_room = 0, by_its_client = 0;

  UdpTable make() {
    return {
        limits,
        {.tell = [this](const UdpFlow& one, CloseReason reason) { ended.emplace_back(one.ends.client.port, reason); },
         .count =
             [this](UdpTable::Evicted why) {
               ++(why == UdpTable::Evicted::by_its_client ? by_its_client : for_want_of_room);
             }}};
  }
  UdpFlow& ask(UdpTable& table, const Flow& ends) {
    UdpFlow* one = table.find(ends);
    if (one == nullptr) one = &table.add(ends, now);
    table.use(*one, &UdpFlow::up, {1, 10}, now);
    return *one;
  }
  void answer(UdpTable& table, const Flow& ends) { table.use(*table.find(ends), &UdpFlow::down, {1, 20}, now); }
};

TEST_F(UdpTableTest, CountsWhatGoesEachWay) {
  UdpTable table = make();
  ask(table, flow(1, 1000));
  ask(table, flow(1, 1000));
  answer(table, flow(1, 1000));
  const UdpFlow& one = *table.find(flow(1, 1000));
  EXPECT_EQ(one.up.datagrams, 2U);
  EXPECT_EQ(one.up.bytes, 20U);
  EXPECT_EQ(one.down.datagrams, 1U);
  EXPECT_EQ(one.down.bytes, 20U);
  EXPECT_EQ(table.find(flow(1, 1000, 2)), nullptr);
  EXPECT_EQ(table.find(flow(1, 1001)), nullptr);
}

TEST_F(UdpTableTest, ForgetsEachKindOfFlowAfterItsOwnTime) {
  UdpTable table = make();
  ask(table, flow(1, 1000));  // unanswered
  ask(table, flow(1, 1001));  // one question, one answer
  answer(table, flow(1, 1001));
  ask(table, flow(1, 1002));
  answer(table, flow(1, 1002));
  ask(table, flow(1, 1002));
  now += UdpTable::one_shot_timeout - milliseconds(1);
  table.expire(now);
  EXPECT_THAT(ended, IsEmpty());
  now += milliseconds(1);
  table.expire(now);
  EXPECT_THAT(ended, ElementsAre(std::pair(1001, CloseReason::done)));
  now += seconds(25);
  table.expire(now);
  EXPECT_THAT(ended, ElementsAre(std::pair(1001, CloseReason::done), std::pair(1000, CloseReason::unanswered)));
  EXPECT_EQ(table.next_deadline(now + std::chrono::hours(1)), Reactor::Clock::time_point{} + seconds(180));
  now += seconds(150);
  table.expire(now);
  EXPECT_EQ(ended.back(), std::pair(std::uint16_t{1002}, CloseReason::idle_timeout));
  EXPECT_EQ(table.size(), 0U);
}

TEST_F(UdpTableTest, DoesNotWaitForAnswersToThisMachinesOwnProgramsWhichItCannotSee) {
  UdpTable table = make();
  table.add(flow(1, 1000), now).is_local = true;
  ask(table, flow(1, 1000));
  table.add(flow(1, 1001), now).is_local = true;
  ask(table, flow(1, 1001));
  ask(table, flow(1, 1001));
  now += UdpTable::one_shot_timeout;
  table.expire(now);
  EXPECT_THAT(ended, ElementsAre(std::pair(1000, CloseReason::done)));
  now += seconds(180);
  table.expire(now);
  EXPECT_EQ(ended.back(), std::pair(std::uint16_t{1001}, CloseReason::idle_timeout));
}

TEST_F(UdpTableTest, StartsAFlowsTimeAnewWithEachDatagram) {
  UdpTable table = make();
  for (int i = 0; i < 100; ++i) {
    ask(table, flow(1, 1000));
    now += seconds(29);
    table.expire(now);
  }
  EXPECT_THAT(ended, IsEmpty());
}

TEST_F(UdpTableTest, LetsTheLeastRecentlyUsedGoWhenItIsFull) {
  UdpTable table = make();
  for (int client = 1; client <= 4; ++client) {
    ask(table, flow(client, 1000 + client));
    now += seconds(1);
  }
  answer(table, flow(1, 1001));  // and so it is the most recently used
  ask(table, flow(5, 1005));
  EXPECT_THAT(ended, ElementsAre(std::pair(1002, CloseReason::evicted)));
  EXPECT_EQ(table.size(), 4U);
  EXPECT_EQ(for_want_of_room, 1);
  EXPECT_EQ(by_its_client, 0);
}

TEST_F(UdpTableTest, LetsAClientsOwnFlowsGoWhenItHasTooMany) {
  UdpTable table = make();
  ask(table, flow(2, 2000));
  for (int port = 1000; port < 1003; ++port) {
    now += seconds(1);
    ask(table, flow(1, port));
  }
  ask(table, flow(1, 1000));
  ask(table, flow(1, 1003));
  EXPECT_THAT(ended, ElementsAre(std::pair(1001, CloseReason::evicted)));
  EXPECT_NE(table.find(flow(2, 2000)), nullptr);
  EXPECT_EQ(by_its_client, 1);
  EXPECT_EQ(for_want_of_room, 0);
}

TEST_F(UdpTableTest, ForgetsWithoutAWordWhatSomebodyElseAccountsFor) {
  UdpTable table = make();
  table.forget(ask(table, flow(1, 1000)));
  EXPECT_THAT(ended, IsEmpty());
  EXPECT_EQ(table.size(), 0U);
  now += seconds(1000);
  table.expire(now);
  EXPECT_THAT(ended, IsEmpty());
}

TEST_F(UdpTableTest, HoldsItsBoundsInAnyOrderOfEvents) {
  limits = {.flows = 50, .flows_per_client = 9, .unanswered_timeout = seconds(3), .answered_timeout = seconds(9)};
  UdpTable table = make();
  std::mt19937 random(4711);
  const auto any = [&](unsigned below) { return static_cast<int>(random() % below); };
  std::size_t begun = 0, forgotten = 0;
  for (int step = 0; step < 20'000; ++step) {
    const Flow ends = flow(1 + any(20), 1000 + any(15), 1 + any(3));
    switch (UdpFlow* const known = table.find(ends); any(6)) {
      case 0:
        if (known != nullptr) answer(table, ends);
        break;
      case 1:
        now += milliseconds(any(300));
        table.expire(now);
        break;
      case 2:
        if (known == nullptr) break;
        table.forget(*known);
        ++forgotten;
        break;
      default:
        begun += known == nullptr;
        ask(table, ends);
    }
    ASSERT_LE(table.size(), limits.flows);
    ASSERT_EQ(begun, table.size() + ended.size() + forgotten);
  }
  EXPECT_GT(by_its_client, 0);
  EXPECT_GT(for_want_of_room, 0);
  table.end_all(CloseReason::withdrawn);
  EXPECT_EQ(begun, ended.size() + forgotten);
}

}  // namespace
}  // namespace limpid
