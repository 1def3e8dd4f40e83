// SPDX-License-Identifier: MIT
// How a packet is written, and what is said of one that is written wrong.
#include "doctor/packet_question.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace limpid {
namespace {

using ::testing::HasSubstr;

TEST(PacketQuestion, IsReadAndWrittenTheSame) {
  for (const char* const text :
       {"tcp 10.1.0.2:5000 -> 203.0.113.9:443 on lan0", "udp [2001:db8::2]:5000 -> [2001:db8:1::9]:53 on eth0.100",
        "tcp 10.1.0.1:5000 -> 203.0.113.9:443 on lo"}) {
    const Result<PacketQuestion> question = PacketQuestion::parse(text);
    ASSERT_TRUE(question) << question.error().what;
    EXPECT_EQ(question->text(), text);
    EXPECT_EQ(question->is_from_here(), std::string_view(text).ends_with(" lo"));
  }
  EXPECT_EQ(*PacketQuestion::parse("  udp  10.1.0.2:1 ->  10.2.0.2:2   on lan0 "),
            (PacketQuestion{Protocol::udp, {*Endpoint::parse("10.1.0.2:1"), *Endpoint::parse("10.2.0.2:2")}, "lan0"}));
}

TEST(PacketQuestion, NamesThePartThatIsWrong) {
  const auto said = [](std::string_view text) {
    const Result<PacketQuestion> question = PacketQuestion::parse(text);
    return question ? "nothing" : question.error().what;
  };
  EXPECT_THAT(said(""), HasSubstr("'tcp CLIENT:PORT -> DESTINATION:PORT on INTERFACE'"));
  EXPECT_THAT(said("tcp 10.1.0.2:1 to 10.2.0.2:2 on lan0"), HasSubstr("CLIENT:PORT"));
  EXPECT_THAT(said("sctp 10.1.0.2:1 -> 10.2.0.2:2 on lan0"), HasSubstr("sctp"));
  EXPECT_THAT(said("tcp 10.1.0.2 -> 10.2.0.2:2 on lan0"), HasSubstr("10.1.0.2: "));
  EXPECT_THAT(said("tcp 10.1.0.2:1 -> example.org:2 on lan0"), HasSubstr("example.org:2: "));
  EXPECT_THAT(said("tcp 10.1.0.2:1 -> [2001:db8::1]:2 on lan0"), HasSubstr("both in IPv6"));
  EXPECT_THAT(said("tcp 10.1.0.2:1 -> 10.2.0.2:2 on lan*"), HasSubstr("lan*: "));
  EXPECT_THAT(said("tcp 10.1.0.2:1 -> 10.2.0.2:2 on a\"b"), HasSubstr("one interface"));
}

}  // namespace
}  // namespace limpid
