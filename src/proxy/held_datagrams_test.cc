// SPDX-License-Identifier: MIT
#include "proxy/held_datagrams.h"

#include <gtest/gtest.h>

#include <memory>

namespace limpid {
namespace {

TEST(HeldDatagrams, AreGivenUpWholeAndInTheirOrder) {
  std::size_t in_all = 0;
  HeldDatagrams waiting(in_all);
  for (const char letter : {'a', 'b', 'c'}) {
    const std::vector<char> bytes(1000, letter);
    ASSERT_TRUE(waiting.hold({.source = {}, .destination = {}, .payload = bytes}));
  }
  EXPECT_EQ(in_all, 3000U);
  const std::vector<HeldDatagrams::Held> held = waiting.release();
  EXPECT_EQ(in_all, 0U);
  ASSERT_EQ(held.size(), 3U);
  for (std::size_t at = 0; at < 3; ++at)
    EXPECT_EQ(std::string(held[at].datagram.payload.begin(), held[at].datagram.payload.end()),
              std::string(1000, static_cast<char>('a' + at)));
  EXPECT_TRUE(waiting.release().empty());
}

TEST(HeldDatagrams, AreOnlySoManyOfAFlowEvenIfTheyAreEmpty) {
  std::size_t in_all = 0;
  HeldDatagrams waiting(in_all);
  const Datagram empty{.source = {}, .destination = {}, .payload = {}};
  std::size_t count = 0;
  while (waiting.hold(empty)) ++count;
  EXPECT_FALSE(waiting.fits(empty));
  EXPECT_LE(count * sizeof(HeldDatagrams::Held), HeldDatagrams::most_bytes);
  EXPECT_EQ(waiting.release().size(), count);
  const std::vector<char> largest(65507, 'x');
  EXPECT_TRUE(waiting.hold({.source = {}, .destination = {}, .payload = largest}));
}

TEST(HeldDatagrams, HoldOnlySoMuchInAllAndGiveItBack) {
  const std::vector<char> bytes(HeldDatagrams::most_bytes, 'x');
  const Datagram datagram{.source = {}, .destination = {}, .payload = bytes};
  std::size_t in_all = 0;
  HeldDatagrams lasting(in_all);
  {
    std::vector<std::unique_ptr<HeldDatagrams>> passing;
    for (std::size_t i = 0; i < HeldDatagrams::most_bytes_in_all / HeldDatagrams::most_bytes; ++i) {
      passing.push_back(std::make_unique<HeldDatagrams>(in_all));
      EXPECT_TRUE(passing.back()->hold(datagram));
    }
    EXPECT_TRUE(lasting.fits(datagram));
    EXPECT_FALSE(lasting.hold(datagram));
  }
  EXPECT_EQ(in_all, 0U);
  EXPECT_TRUE(lasting.hold(datagram));
}

}  // namespace
}  // namespace limpid
