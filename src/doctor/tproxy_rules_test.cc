// SPDX-License-Identifier: MIT
// What is read out of tproxy rules as nft(8) prints them.
#include "doctor/tproxy_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

namespace limpid {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<TproxyRule> read(std::string_view family, const std::vector<std::string>& rules) {
  return tproxy_rules({{std::string(family), "users", "pre", "type filter hook prerouting priority mangle;", rules}});
}
TproxyRule read_one(std::string_view family, const std::string& rule) {
  const std::vector<TproxyRule> rules = read(family, {rule});
  EXPECT_THAT(rules, SizeIs(1)) << rule;
  return rules.empty() ? TproxyRule{} : rules.front();
}

TEST(TproxyRules, TellWhereTheyLeadAndWhatTheyTake) {
  const TproxyRule rule = read_one("inet",
                                   "iifname \"lan0\" meta nfproto ipv4 tcp dport { 80, 8000-8999 } tproxy ip to "
                                   ":9000 meta mark set 0x00000001 accept");
  EXPECT_THAT(rule.families, ElementsAre(AF_INET));
  EXPECT_THAT(rule.protocols, ElementsAre(IPPROTO_TCP));
  EXPECT_THAT(rule.interfaces, ElementsAre("lan0"));
  EXPECT_THAT(rule.taken, ElementsAre(PortRange{80, 80}, PortRange{8000, 8999}));
  EXPECT_EQ(rule.address, std::nullopt);
  EXPECT_EQ(rule.port, 9000);
  EXPECT_EQ(rule.mark, 1U);
}

TEST(TproxyRules, AreOfOneFamilyOrOfBoth) {
  EXPECT_THAT(read_one("ip", "tcp dport 80 tproxy to :1").families, ElementsAre(AF_INET));
  EXPECT_THAT(read_one("ip6", "udp dport 53 tproxy to :1").families, ElementsAre(AF_INET6));
  EXPECT_THAT(read_one("inet", "tcp dport 80 tproxy to :1").families, ElementsAre(AF_INET, AF_INET6));
  EXPECT_THAT(read_one("inet", "tcp dport 80 tproxy ip6 to [::1]:1").families, ElementsAre(AF_INET6));
  EXPECT_EQ(read_one("inet", "tcp dport 80 tproxy ip6 to [::1]:1").address, Address::loopback(AF_INET6));
  EXPECT_EQ(read_one("ip", "tcp dport 80 tproxy to 127.0.0.1:1").address, Address::loopback(AF_INET));
}

TEST(TproxyRules, OfBothProtocolsAndOfSeveralInterfaces) {
  const TproxyRule rule = read_one(
      "ip", "iifname { \"lan0\", \"lan1\" } meta l4proto { tcp, udp } meta mark set meta mark | 0x10 tproxy to :1");
  EXPECT_THAT(rule.protocols, ElementsAre(IPPROTO_TCP, IPPROTO_UDP));
  EXPECT_THAT(rule.interfaces, ElementsAre("lan0", "lan1"));
  EXPECT_EQ(rule.mark, 0x10U);
  EXPECT_THAT(rule.taken, IsEmpty());
  EXPECT_THAT(read_one("ip", "iifname != \"wan0\" tcp dport 80 tproxy to :1").interfaces, IsEmpty());
}

TEST(TproxyRules, LimpidsOwnAndThoseWithoutAPortAreNobodys) {
  EXPECT_THAT(tproxy_rules({{"inet", "limpid", "syn", "", {"tcp dport 80 tproxy ip to 127.0.0.1:1"}}}), IsEmpty());
  EXPECT_THAT(read("ip", {"tcp dport 80 counter", "tcp dport 80 tproxy to 10.0.0.1", "tproxy to tcp dport map @m"}),
              IsEmpty());
}

TEST(TproxyRules, AreDecidedBeforeByRulesThatAskNoMore) {
  const auto before = [](const std::string& earlier) {
    return decided_before(
        read("ip", {earlier, "iifname \"lan0\" tcp dport 8080 counter tproxy to :1 meta mark set 0x1"}).back());
  };
  for (const char* const earlier : {"accept", "counter drop", "iifname \"lan0\" counter accept",
                                    "tcp dport 8080 return", "iifname \"lan0\" tcp dport 8080 reject with tcp reset"})
    EXPECT_EQ(before(earlier), earlier);
  for (const char* const earlier :
       {"iifname \"lan1\" accept", "iifname \"lan0\" tcp dport 80 accept", "counter", "tcp dport 8080 log",
        "iifname \"lan0\" ip daddr 10.0.0.0/8 accept", "socket transparent 1 meta mark set 0x1 accept"})
    EXPECT_EQ(before(earlier), std::nullopt) << earlier;
}

TEST(TproxyRules, PortsBehindDportEndWhereTheSetEnds) {
  EXPECT_THAT(ports_after_dport("tcp dport 80 redirect to :81"), ElementsAre(PortRange{80, 80}));
  EXPECT_THAT(ports_after_dport("udp dport { 53, 443 } meta mark 7"),
              ElementsAre(PortRange{53, 53}, PortRange{443, 443}));
  EXPECT_THAT(ports_after_dport("tcp dport @ports accept"), IsEmpty());
  EXPECT_THAT(ports_after_dport("tcp dport"), IsEmpty());
}

}  // namespace
}  // namespace limpid
