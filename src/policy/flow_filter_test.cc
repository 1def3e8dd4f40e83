// SPDX-License-Identifier: MIT
#include "policy/flow_filter.h"

#include <gtest/gtest.h>

namespace limpid {
namespace {

Flow flow(const char* client, const char* destination, std::uint16_t port) {
  return {{*Address::parse(client), 5000}, {*Address::parse(destination), port}};
}

TEST(FlowFilter, AllMeansEveryFlow) {
  const FlowFilter filter = *FlowFilter::parse("all");
  EXPECT_TRUE(filter.matches(flow("10.1.0.2", "203.0.113.9", 443)));
  EXPECT_TRUE(filter.matches(flow("2001:db8::2", "2001:db8::9", 53)));
}

TEST(FlowFilter, WantsEveryTermToHold) {
  const FlowFilter filter = *FlowFilter::parse("client=10.1.0.0/24,destination=203.0.113.9,port=400-500");
  EXPECT_TRUE(filter.matches(flow("10.1.0.2", "203.0.113.9", 443)));
  EXPECT_TRUE(filter.matches(flow("10.1.0.2", "203.0.113.9", 500)));
  EXPECT_FALSE(filter.matches(flow("10.1.1.2", "203.0.113.9", 443)));
  EXPECT_FALSE(filter.matches(flow("10.1.0.2", "203.0.113.8", 443)));
  EXPECT_FALSE(filter.matches(flow("10.1.0.2", "203.0.113.9", 53)));
  EXPECT_FALSE(filter.matches(flow("2001:db8::2", "2001:db8::9", 443)));
}

TEST(FlowFilter, NamesWhatItCannotRead) {
  for (const auto& [text, word] : {std::pair{"", "\"\""},
                                   {"everything", "everything"},
                                   {"client=", "client"},
                                   {"client=nobody", "nobody"},
                                   {"destination=10.0.0.1/8", "10.0.0.1"},
                                   {"port=http", "http"},
                                   {"port=1,port=2", "twice"},
                                   {"port=1,", "\"\""},
                                   {"all,port=1", "all"}}) {
    const Result<FlowFilter> filter = FlowFilter::parse(text);
    ASSERT_FALSE(filter) << text;
    EXPECT_NE(filter.error().what.find(word), std::string::npos) << filter.error().what;
  }
}

}  // namespace
}  // namespace limpid
