// SPDX-License-Identifier: MIT
#include "intercept/mark_use.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace limpid {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::uint32_t bits(std::string_view rule) {
  std::uint32_t all = 0;
  for (const MarkUse& use : mark_uses(rule)) all |= use.bits;
  return all;
}

TEST(MarkUse, OfAComparisonIsTheValueAndItsMask) {
  EXPECT_THAT(mark_uses("meta mark & 0x000000ff == 0x00000001 accept"), ElementsAre(MarkUse{false, 0xff, 0xff}));
  EXPECT_THAT(mark_uses("ct mark and 0x7 == 0x5 counter"), ElementsAre(MarkUse{false, 0x7, 0x7}));
  EXPECT_EQ(bits("meta mark 0x00000005 drop"), 0x5U);
  EXPECT_EQ(bits("meta mark != 7 drop"), 0x7U);
  EXPECT_EQ(bits("socket mark 0x00000010 accept"), 0x10U);
}

TEST(MarkUse, OfSeveralValuesIsAllOfThem) {
  EXPECT_EQ(bits("meta mark { 0x1, 0x20 } accept"), 0x21U);
  EXPECT_EQ(bits("meta mark 0x10-0x13 accept"), 0x13U);
  EXPECT_EQ(bits("meta mark & 0xf00 vmap { 0x100 : accept, 0x200 : jump two }"), 0xf00U);
}

TEST(MarkUse, OfAChangeIsWhatItMayChange) {
  EXPECT_THAT(mark_uses("meta mark set 0x00000007"), ElementsAre(MarkUse{true, 0x7, 0}));
  EXPECT_EQ(bits("meta mark set meta mark | 0x00004000"), 0x4000U);
  EXPECT_EQ(bits("meta mark set meta mark & 0xffffff00 | 0x00000001 accept"), 0xffU);
  EXPECT_EQ(bits("counter meta mark set mark and 0xffffff00 xor 0x1"), 0xffU);
  EXPECT_EQ(bits("counter meta mark set mark and 0x8"), 0xfffffff7U);
}

TEST(MarkUse, OfACopyIsTheBitsCopied) {
  EXPECT_EQ(bits("ct mark 0x5 counter meta mark set ct mark and 0xff"), 0xffU);
  EXPECT_EQ(bits("ct mark set mark"), 0U);
  EXPECT_EQ(bits("meta mark set ct mark"), 0U);
}

TEST(MarkUse, IsNoOtherNumber) {
  EXPECT_THAT(mark_uses("tcp dport 80 counter packets 1 bytes 268435456 accept"), IsEmpty());
  EXPECT_EQ(bits("meta mark 0x1 tcp dport 268435456 accept"), 0x1U);
  EXPECT_THAT(mark_uses("iifname \"mark\" accept comment \"meta mark 0x10000000\""), IsEmpty());
}

TEST(MarkUse, SurvivesWhatIsCutOff) {
  for (const std::string_view text : {"mark", "meta mark set", "meta mark set mark", "meta mark &", "meta mark { 0x1",
                                      "meta mark }", "meta mark set ct", "\"", "meta mark 0x-", "-", ""})
    EXPECT_EQ(bits(text) & ~1U, 0U) << text;
}

}  // namespace
}  // namespace limpid
