// SPDX-License-Identifier: MIT
#include "config/value.h"

#include <gtest/gtest.h>

namespace limpid {
namespace {

using std::chrono::milliseconds;

TEST(Timeout, IsReadWithItsUnit) {
  const std::pair<std::string_view, milliseconds> rows[] = {
      {"1ms", milliseconds(1)},
      {"500ms", milliseconds(500)},
      {"10s", std::chrono::seconds(10)},
      {"90m", std::chrono::minutes(90)},
      {"2h", std::chrono::hours(2)},
      {"365d", std::chrono::days(365)},
      {"31536000000ms", std::chrono::days(365)},
  };
  for (const auto& [text, value] : rows) {
    const Result<milliseconds> timeout = parse_timeout(text);
    ASSERT_TRUE(timeout) << text << ": " << timeout.error().what;
    EXPECT_EQ(*timeout, value) << text;
  }
}

TEST(Timeout, IsRefusedOtherwise) {
  for (std::string_view text : {"",
                                " ",
                                "s",
                                "10",
                                "10 s",
                                "1.5s",
                                "10S",
                                "10sec",
                                "1h30m",
                                "+10s",
                                "-1s",
                                "0s",
                                "0ms",
                                "366d",
                                "31536000001ms",
                                "106751991168d",
                                "9223372036854775807ms",
                                "9223372036854775808ms",
                                "99999999999999999999999999d",
                                "-99999999999999999999s",
                                "99999999999999999999999999"})
    EXPECT_FALSE(parse_timeout(text)) << text;
}

TEST(Timeout, TellsWhatIsWrongWithNumbersTooLargeToRead) {
  EXPECT_EQ(parse_timeout("99999999999999999999d").error().what,
            "\"99999999999999999999d\" is too long: at most \"365d\"");
  EXPECT_EQ(parse_timeout("99999999999999999999").error().what,
            "\"99999999999999999999\" has no unit: write \"99999999999999999999s\" (or ms, m, h, d)");
}

TEST(Timeout, OfIdentifyingIsAMinuteAtMost) {
  EXPECT_TRUE(parse_identify_timeout("1m"));
  EXPECT_FALSE(parse_identify_timeout("61s"));
  EXPECT_FALSE(parse_identify_timeout("0s"));
}

TEST(Timeout, IsWrittenInItsLargestUnit) {
  for (std::string_view text : {"1ms", "1500ms", "10s", "90s", "90m", "2h", "1d", "25h"})
    EXPECT_EQ(value_text(*parse_timeout(text)), text);
  EXPECT_EQ(value_text(*parse_timeout("120m")), "2h");
}

TEST(Interface, MayEndInAStar) {
  for (std::string_view text : {"lan0", "eth0.100", "wg*", "lo1", "l", "br-lan", "fifteen-bytes-1", "\xc3\xa9th0"})
    EXPECT_TRUE(parse_interface(text)) << text;
}

TEST(Interface, IsNoPathNoQuoteAndNotLoopback) {
  for (std::string_view text : {"", ".", "..", "a:b", "a\tb", "*lan", "lan**", "a\\*", "*", "lo", "lo*", "l*"})
    EXPECT_FALSE(parse_interface(text)) << text;
}

TEST(Table, IsNoneOfTheKernels) {
  for (std::string_view text : {"0", "253", "254", "255", "4294967296", "-1", "main", "", "5300 "})
    EXPECT_FALSE(parse_table(text)) << text;
  EXPECT_EQ(*parse_table("4294967295"), 4294967295U);
  EXPECT_EQ(*parse_table("1"), 1U);
}

TEST(Priority, LeavesRoomForItsNeighboursBeforeTheMainTable) {
  for (std::string_view text : {"0", "32765", "32766", "4294967297"}) EXPECT_FALSE(parse_priority(text)) << text;
  EXPECT_EQ(*parse_priority("1"), 1U);
  EXPECT_EQ(*parse_priority("32764"), 32764U);
}

TEST(User, IsAnAccountOfItsOwn) {
  for (std::string_view text : {"limpid", "_limpid", "Limpid-2.x"}) EXPECT_TRUE(parse_user(text)) << text;
  for (std::string_view text :
       {"", "root", "nobody", "0", "-x", "a b", "a:b", "a/b", "123456789012345678901234567890123"})
    EXPECT_FALSE(parse_user(text)) << text;
}

TEST(PlainText, IsUtf8WithoutControlCharacters) {
  for (std::string_view text : {"", "a b", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_plain_text(text)) << text;
  for (std::string_view text : {"\n", "\x7f", "\x80", "\xc3", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80",
                                "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff", "\xe2\x82"})
    EXPECT_FALSE(is_plain_text(text)) << text;
  EXPECT_FALSE(is_plain_text(std::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace limpid
