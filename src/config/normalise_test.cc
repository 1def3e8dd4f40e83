// SPDX-License-Identifier: MIT
#include "config/normalise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace limpid {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> simplest(const std::vector<std::string_view>& texts) {
  std::vector<Prefix> prefixes;
  prefixes.reserve(texts.size());
  for (std::string_view text : texts) prefixes.push_back(*Prefix::parse(text));
  std::vector<std::string> simplest;
  for (const Prefix& prefix : normalise(std::move(prefixes))) simplest.push_back(prefix.text());
  return simplest;
}

TEST(Ports, AreSortedAndMergedWhereTheyOverlapOrTouch) {
  const std::vector<PortRange> ports = {{443, 443}, {8500, 9500}, {80, 80}, {8000, 8999}, {81, 81}, {8100, 8200}};
  EXPECT_THAT(normalise(ports), ElementsAre(PortRange{80, 81}, PortRange{443, 443}, PortRange{8000, 9500}));
}

TEST(Ports, DoNotWrapAroundAtTheLast) {
  const std::vector<PortRange> ports = {{65535, 65535}, {1, 65535}, {65535, 65535}};
  EXPECT_THAT(normalise(ports), ElementsAre(PortRange::all()));
}

TEST(Prefixes, AreSortedAndLoseWhatOthersCover) {
  EXPECT_THAT(simplest({"192.0.2.1", "2001:db8:1::/48", "10.1.2.0/24", "10.0.0.0/8", "2001:db8::/32", "10.0.0.0/8",
                        "10.1.0.0/16", "11.0.0.0/8"}),
              ElementsAre("10.0.0.0/8", "11.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"));
}

TEST(Prefixes, OfOneFamilyDoNotCoverTheOther) {
  EXPECT_THAT(simplest({"::/0", "10.0.0.0/8", "a00::/8"}), ElementsAre("10.0.0.0/8", "::/0"));
  EXPECT_THAT(simplest({"0.0.0.0/0", "::/0", "::1"}), ElementsAre("0.0.0.0/0", "::/0"));
}

TEST(Interfaces, KeepTheirOrderAndLoseWhatAPatternCovers) {
  const std::vector<std::string> interfaces = {"wg0", "lan*", "lan0", "wg0", "lan1*", "la", "lan*"};
  EXPECT_THAT(normalise(interfaces), ElementsAre("wg0", "lan*", "la"));
}

TEST(EmptyLists, StayEmpty) {
  EXPECT_THAT(normalise(std::vector<PortRange>()), IsEmpty());
  EXPECT_THAT(simplest({}), IsEmpty());
  EXPECT_EQ(normalise(Config()), Config());
}

}  // namespace
}  // namespace limpid
