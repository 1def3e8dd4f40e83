// SPDX-License-Identifier: MIT
#include "policy/application.h"

#include <gtest/gtest.h>

namespace limpid {
namespace {

TEST(Application, IsItsNameAndBack) {
  for (std::size_t number = 0; number < applications; ++number) {
    const auto application = static_cast<Application>(number);
    EXPECT_EQ(application_of(name_of(application)), application);
  }
  EXPECT_EQ(name_of(Application::quic), "quic");
  EXPECT_EQ(application_of("gopher"), std::nullopt);
  EXPECT_EQ(application_of(""), std::nullopt);
}

}  // namespace
}  // namespace limpid
