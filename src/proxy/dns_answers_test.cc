// SPDX-License-Identifier: MIT
#include "proxy/dns_answers.h"

#include <gtest/gtest.h>

namespace limpid {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Answers : public testing::Test {
 protected:
  static constexpr seconds grace{10};

  bool learn(std::string_view host, const std::vector<DnsAddress>& addresses) {
    return answers.learn(asker, host, addresses, grace, now);
  }
  [[nodiscard]] bool has(std::string_view host, const Address& destination) {
    return answers.has(asker, host, destination, now);
  }

  const Address asker = *Address::parse("10.1.0.2");
  const Address there = *Address::parse("203.0.113.9");
  const Address elsewhere = *Address::parse("203.0.113.8");
  DnsAnswers answers{{.entries = 4, .entries_per_client = 2}};
  DnsAnswers::Clock::time_point now = DnsAnswers::Clock::now();
};

TEST_F(Answers, AreKnownForTheirClientNameAndAddress) {
  EXPECT_TRUE(learn("x.example", {{there, seconds(60)}}));
  EXPECT_TRUE(has("x.example", there));
  EXPECT_FALSE(has("x.example", elsewhere));
  EXPECT_FALSE(has("y.example", there));
  EXPECT_FALSE(answers.has(*Address::parse("10.1.0.3"), "x.example", there, now));
}

TEST_F(Answers, AreOverWithTheirTtlAndTheGrace) {
  learn("x.example", {{there, seconds(60)}});
  now += seconds(70) - milliseconds(1);
  EXPECT_TRUE(has("x.example", there));
  now += milliseconds(1);
  EXPECT_FALSE(has("x.example", there));
}

TEST_F(Answers, AreGoodForADayAtTheMost) {
  learn("x.example", {{there, seconds(0x7fffffff)}});
  now += std::chrono::days(1) + grace;
  EXPECT_FALSE(has("x.example", there));
}

TEST_F(Answers, AddToWhatIsKnownAndShortenNothing) {
  learn("x.example", {{there, seconds(60)}});
  learn("x.example", {{elsewhere, seconds(1)}, {there, seconds(1)}});
  now += seconds(20);
  EXPECT_TRUE(has("x.example", there));
  EXPECT_FALSE(has("x.example", elsewhere));
}

TEST_F(Answers, HoldSoManyAddressesOfAName) {
  std::vector<DnsAddress> many;
  for (std::size_t i = 0; i <= DnsAnswers::most_addresses; ++i) {
    const std::uint8_t bytes[] = {198, 51, 100, static_cast<std::uint8_t>(i)};
    many.push_back({Address::from_bytes(AF_INET, bytes), seconds(i == 7 ? 1 : 60)});
  }
  learn("x.example", many);
  for (std::size_t i = 0; i < many.size(); ++i) EXPECT_EQ(has("x.example", many[i].address), i != 7) << i;
}

TEST_F(Answers, TellWhetherAnotherHadToGo) {
  EXPECT_TRUE(learn("x.example", {{there, seconds(60)}}));
  EXPECT_TRUE(learn("y.example", {{there, seconds(60)}}));
  EXPECT_FALSE(learn("z.example", {{there, seconds(60)}}));
  EXPECT_FALSE(has("x.example", there));
  EXPECT_EQ(answers.size(), 2u);
  now += seconds(70);
  EXPECT_TRUE(learn("x.example", {{there, seconds(60)}})) << "what went was over";
}

}  // namespace
}  // namespace limpid
