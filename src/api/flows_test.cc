// SPDX-License-Identifier: MIT
#include "api/flows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace limpid {
namespace {

using ::testing::HasSubstr;

FlowAccount account() {
  return {.ends = {{*Address::parse("10.1.0.2"), 5000}, {*Address::parse("2001:db8::9"), 443}},
          .time = std::chrono::system_clock::now(),
          .up = {.datagrams = 3, .bytes = 33},
          .down = {.datagrams = 4, .bytes = 44}};
}

TEST(Flows, AreOneLineOfJson) {
  const FlowAccount flows[] = {account()};
  const std::string text = flows_to_json(flows);
  EXPECT_THAT(text, HasSubstr(R"({"handed_over":[{"client":"10.1.0.2:5000","destination":"[2001:db8::9]:443",)"
                              R"("datagrams_up":3,"bytes_up":33,"datagrams_down":4,"bytes_down":44,"seconds":)"));
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_EQ(flows_to_json({}), R"({"handed_over":[]})");
}

TEST(Flows, AreALineEachForPeople) {
  const FlowAccount flows[] = {account(), account()};
  const Result<std::string> text = flows_for_people(flows_to_json(flows));
  ASSERT_TRUE(text) << text.error().what;
  EXPECT_EQ(std::ranges::count(*text, '\n'), 3);
  EXPECT_THAT(*text, HasSubstr("10.1.0.2:5000"));
}

TEST(Flows, AreNotReadFromAnythingElse) {
  for (const char* text : {"", "{", "[]", "{}", R"({"handed_over":7})"}) EXPECT_FALSE(flows_for_people(text)) << text;
}

}  // namespace
}  // namespace limpid
