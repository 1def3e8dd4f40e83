// SPDX-License-Identifier: MIT
#include "daemon/worker_settings.h"

#include <gtest/gtest.h>

namespace limpid {
namespace {

TEST(SessionBudget, FitsIntoTheDescriptors) {
  for (const std::uint64_t descriptors : {1024U, 20'000U, 1'048'576U}) {
    const std::uint64_t sessions = session_budget(descriptors, 200, 0);
    EXPECT_LT(2 * sessions + 2 * 100, descriptors);
    EXPECT_GT(2 * sessions + 2 * 100 + 1000, descriptors);
  }
}

TEST(SessionBudget, IsAsWantedWhereThatFits) {
  EXPECT_EQ(session_budget(20'000, 256, 10), 10U);
  EXPECT_EQ(session_budget(20'000, 256, 1'000'000), session_budget(20'000, 256, 0));
}

TEST(SessionBudget, IsNeverNothing) { EXPECT_EQ(session_budget(64, 256, 0), 1U); }

TEST(PathSettings, SayWhatTheConfigurationSays) {
  Config config;
  config.transparency = {.source = Source::address, .keep_port = KeepPort::prefer};
  config.intercept.local = true;
  const PathSettings settings = path_settings(config, 7);
  EXPECT_EQ(settings.source, SourceChoice::address);
  EXPECT_FALSE(settings.require_port);
  EXPECT_TRUE(settings.local);
  EXPECT_EQ(settings.sessions_max, 7);
  EXPECT_EQ(settings.own_mark, config.intercept.own_mark);
  EXPECT_EQ(settings.connect_timeout, std::chrono::seconds(10));
}

}  // namespace
}  // namespace limpid
