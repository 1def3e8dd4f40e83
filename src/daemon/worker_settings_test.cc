// SPDX-License-Identifier: MIT
#include "daemon/worker_settings.h"

#include <gtest/gtest.h>

namespace limpid {
namespace {

TEST(SessionBudget, FitsIntoTheDescriptors) {
  for (const std::uint64_t descriptors : {1024U, 20'000U, 1'048'576U}) {
    const std::uint64_t sessions = session_budget(descriptors, 200);
    EXPECT_LT(2 * sessions + 2 * 100, descriptors);
    EXPECT_GT(2 * sessions + 2 * 100 + 1000, descriptors);
  }
}

TEST(SessionBudget, IsNeverNothing) { EXPECT_EQ(session_budget(64, 256), 1U); }

TEST(PathSettings, HaveAsManySessionsAsAreWantedWhereThatFits) {
  Config config;
  for (const auto& [wanted, sessions] : {std::pair{0, 7}, {5, 5}, {1'000'000, 7}}) {
    config.limits.sessions = static_cast<std::uint64_t>(wanted);
    EXPECT_EQ(path_settings(config, 7, {}).sessions_max, sessions);
  }
}

TEST(PathSettings, SayWhatTheConfigurationSays) {
  Config config;
  config.transparency = {.source = Source::address, .keep_port = KeepPort::prefer};
  config.intercept.local = true;
  const PathSettings settings = path_settings(config, 7, {});
  EXPECT_EQ(settings.source, Source::address);
  EXPECT_FALSE(settings.require_port);
  EXPECT_TRUE(settings.local);
  EXPECT_EQ(settings.sessions_max, 7);
  EXPECT_EQ(settings.own_mark, config.intercept.own_mark);
  EXPECT_EQ(settings.connect_timeout, std::chrono::seconds(10));
}

}  // namespace
}  // namespace limpid
