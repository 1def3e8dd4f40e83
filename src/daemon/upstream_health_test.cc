// SPDX-License-Identifier: MIT
#include "daemon/upstream_health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace limpid {
namespace {

const Endpoint first = *Endpoint::parse("192.0.2.7:1080"), second = *Endpoint::parse("[2001:db8::7]:1080");

std::vector<Upstream> office() {
  Upstream upstream;
  upstream.name = "office";
  upstream.address = {first, second};
  return {upstream};
}

TEST(UpstreamHealth, IsWhatTheWorkerHasLastSaid) {
  UpstreamHealth health;
  EXPECT_EQ(health.status(office())[0].addresses[0].state, "unknown");
  health.hear({{.upstream = 0, .address = first, .sessions = 3}}, office());
  health.hear({{.upstream = 0, .address = second, .state = MemberReport::State::refuses, .failures = 2},
               {.upstream = 0, .address = first, .state = MemberReport::State::down, .sessions = 1, .failures = 1}},
              office());
  const std::vector<UpstreamStatus> status = health.status(office());
  ASSERT_EQ(status.size(), 1U);
  EXPECT_EQ(status[0].name, "office");
  ASSERT_EQ(status[0].addresses.size(), 2U);
  EXPECT_EQ(status[0].addresses[0].address, "192.0.2.7:1080");
  EXPECT_EQ(status[0].addresses[0].state, "down");
  EXPECT_EQ(status[0].addresses[0].sessions, 1U);
  EXPECT_EQ(status[0].addresses[1].state, "refuses");
  EXPECT_EQ(status[0].addresses[1].failures, 2U);
  health.forget();
  EXPECT_EQ(health.status(office())[0].addresses[1].state, "unknown");
}

TEST(UpstreamHealth, PassesOverWhatThereIsNot) {
  UpstreamHealth health;
  health.hear({{.upstream = 1, .address = first}, {.upstream = 0, .address = *Endpoint::parse("192.0.2.8:1080")}},
              office());
  const std::vector<UpstreamStatus> status = health.status(office());
  for (const UpstreamStatus::Address& address : status[0].addresses) EXPECT_EQ(address.state, "unknown");
  EXPECT_TRUE(health.status({}).empty());
}

TEST(UpstreamHealth, IsTold) {
  UpstreamHealth health;
  health.hear({{.upstream = 0, .address = first, .sessions = 3, .failures = 7}}, office());
  Status status;
  status.upstreams = health.status(office());
  const std::string json = to_json(status);
  EXPECT_THAT(json, ::testing::HasSubstr(R"({"name":"office","addresses":[{"address":"192.0.2.7:1080",)"
                                         R"("state":"up","sessions":3,"failures":7},)"));
  const Result<std::string> text = status_for_people(json);
  ASSERT_TRUE(text);
  EXPECT_THAT(*text, ::testing::HasSubstr("upstream office       192.0.2.7:1080: up, 3 sessions, 7 failures\n"));
  EXPECT_THAT(*text, ::testing::HasSubstr("upstream office       [2001:db8::7]:1080: unknown,"));
}

}  // namespace
}  // namespace limpid
