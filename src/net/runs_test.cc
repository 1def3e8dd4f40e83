// SPDX-License-Identifier: MIT
#include "net/runs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

namespace limpid {
namespace {

using ::testing::ElementsAre;

constexpr char bytes[2000] = {};

Datagram datagram(std::uint16_t port, std::size_t size, std::uint8_t hops = 64) {
  return {.source = {*Address::parse("10.0.0.2"), port},
          .destination = {*Address::parse("203.0.113.9"), 443},
          .payload = {bytes, size},
          .hops = hops};
}

std::vector<std::vector<int>> found(const std::vector<Datagram>& datagrams) {
  Runs runs;
  std::vector<std::vector<int>> places;
  for (const auto& run : runs.find(datagrams)) {
    auto& place = places.emplace_back();
    for (const std::uint16_t at : runs.order().subspan(run.first, run.count)) place.push_back(at);
  }
  return places;
}

TEST(Runs, AreOfOneFlowWhateverComesBetween) {
  EXPECT_THAT(found({datagram(1, 100), datagram(2, 100), datagram(1, 100), datagram(2, 100), datagram(1, 100)}),
              ElementsAre(ElementsAre(0, 2, 4), ElementsAre(1, 3)));
}

TEST(Runs, EndWithTheFirstThatIsSmaller) {
  EXPECT_THAT(found({datagram(1, 100), datagram(1, 100), datagram(1, 60), datagram(1, 60), datagram(1, 100)}),
              ElementsAre(ElementsAre(0, 1, 2), ElementsAre(3), ElementsAre(4)));
}

TEST(Runs, AreCutWhereSomethingElseDiffers) {
  EXPECT_THAT(found({datagram(1, 100), datagram(1, 100, 63), datagram(1, 100, 63)}),
              ElementsAre(ElementsAre(0), ElementsAre(1, 2)));
}

TEST(Runs, HaveNoEmptyDatagramsAndNoneThatArePutTogetherAlready) {
  Datagram together = datagram(1, 1000);
  together.segment = 100;
  EXPECT_THAT(found({datagram(1, 0), datagram(1, 0), together, datagram(1, 100), datagram(1, 0)}),
              ElementsAre(ElementsAre(0), ElementsAre(1), ElementsAre(2), ElementsAre(3), ElementsAre(4)));
}

TEST(Runs, AreNeitherTooLongNorTooLarge) {
  EXPECT_THAT(found(std::vector(Runs::longest + 1, datagram(1, 10))).size(), 2U);
  EXPECT_THAT(found(std::vector(Runs::longest, datagram(1, 2000))).size(), 3U);
}

TEST(Runs, SayWhetherTheyAreTheFirstOfTheirFlow) {
  Runs runs;
  const std::vector<Datagram> datagrams = {datagram(1, 10), datagram(2, 10), datagram(1, 20)};
  const auto all = runs.find(datagrams);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_FALSE(all[0].follows);
  EXPECT_TRUE(all[1].follows);
  EXPECT_FALSE(all[2].follows);
}

TEST(Runs, KeepTheOrderWithinEachFlowAndLoseNothing) {
  std::mt19937 random(53);
  Runs runs;
  for (int round = 0; round < 200; ++round) {
    std::vector<Datagram> datagrams;
    for (std::size_t i = random() % (Runs::most + 1); i > 0; --i)
      datagrams.push_back(datagram(static_cast<std::uint16_t>(random() % 40), random() % 3 * 50,
                                   static_cast<std::uint8_t>(60 + random() % 2)));
    std::size_t seen = 0;
    std::map<std::uint16_t, int> last;
    for (const auto& run : runs.find(datagrams)) {
      for (const std::uint16_t at : runs.order().subspan(run.first, run.count)) {
        ++seen;
        const auto [place, is_first] = last.try_emplace(datagrams[at].source.port, at);
        if (is_first) continue;
        EXPECT_LT(place->second, at);
        place->second = at;
      }
    }
    EXPECT_EQ(seen, datagrams.size());
  }
}

}  // namespace
}  // namespace limpid
