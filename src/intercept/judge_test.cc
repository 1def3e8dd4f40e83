// SPDX-License-Identifier: MIT
// The listings are what nft 1.0.6 prints.
#include "intercept/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace limpid {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

NftChain chain_with(std::string rule) { return {"ip", "mangle", "PREROUTING", "", {std::move(rule)}}; }

TEST(Judge, ReadsTheChainsOfARuleset) {
  const auto chains = parse_ruleset(
      "table ip filter {\n"
      "\tset s {\n\t\ttype ifname\n\t\telements = { \"a\",\n\t\t\t     \"b\" }\n\t}\n\n"
      "\tchain INPUT {\n"
      "\t\ttype filter hook input priority filter; policy drop;\n"
      "\t\ttcp dport { 22, 80,\n\t\t\t    443 } accept\n"
      "\t\tct state established accept comment \"} not {\"\n"
      "\t}\n\n"
      "\tchain other {\n\t}\n"
      "}\n"
      "table inet limpid { # progname limpid\n\tflags owner\n\n\tchain clients {\n\t\taccept\n\t}\n}\n"
      "table ip6 filter {\n\tchain c {\n\t\tdrop\n\t}\n}\n");
  EXPECT_THAT(
      chains,
      ElementsAre(NftChain{"ip",
                           "filter",
                           "INPUT",
                           "type filter hook input priority filter; policy drop;",
                           {"tcp dport { 22, 80, 443 } accept", "ct state established accept comment \"} not {\""}},
                  NftChain{"ip", "filter", "other", "", {}}, NftChain{"ip6", "filter", "c", "", {"drop"}}));
}

TEST(Judge, SurvivesARulesetThatIsCutOff) {
  const std::string text = "table ip filter {\n\tchain INPUT {\n\t\ttcp dport { 22,\n\t\t80 } accept\n\t}\n}\n}\n}\n";
  for (std::size_t size = 0; size <= text.size(); ++size)
    EXPECT_THAT(parse_ruleset(text.substr(0, size)).size(), ::testing::Le(1U));
}

TEST(Judge, NamesTheHolderOfABitAndTheKeyToChange) {
  EXPECT_THAT(
      mark_conflicts({chain_with("meta mark set meta mark | 0x20000000")}, Intercept{}),
      ElementsAre(
          "nft table ip mangle, chain PREROUTING uses bits of local_mark 0x20000000/0x20000000 (\"meta mark set "
          "meta mark | 0x20000000\"): choose other bits with local_mark (--local-mark)"));
  EXPECT_THAT(mark_conflicts({chain_with("meta mark set mark and 0x00ffffff xor 0x1000000")}, Intercept{}), SizeIs(3));
}

TEST(Judge, LetsOtherBitsBe) {
  for (const char* const rule : {"meta mark set meta mark | 0x00004000", "meta mark 0x00000001 accept",
                                 "meta mark & 0x000000ff == 0x00000001 drop", "ct mark set meta mark"})
    EXPECT_THAT(mark_conflicts({chain_with(rule)}, Intercept{}), IsEmpty()) << rule;
}

TEST(Judge, WelcomesTheRuleThatAcceptsOurMark) {
  EXPECT_THAT(mark_conflicts({chain_with("meta mark & 0x10000000 == 0x10000000 counter accept")}, Intercept{}),
              IsEmpty());
  EXPECT_THAT(mark_conflicts({chain_with("meta mark & 0x10000000 == 0x10000000 drop")}, Intercept{}), SizeIs(1));
  EXPECT_THAT(mark_conflicts({chain_with("meta mark & 0x30000000 == 0x10000000 accept")}, Intercept{}), SizeIs(2));
}

TEST(Judge, FindsFibRulesInOurWay) {
  const Intercept settings;
  FibRule rule{.family = AF_INET, .priority = 50, .interface = "", .mark = {0x1, 0xff}, .target = 77, .protocol = 0};
  EXPECT_THAT(fib_conflicts({rule}, settings), IsEmpty());
  rule.mark = {0x1, 0xffffffff};  // the whole mark is compared, but the bits are others
  EXPECT_THAT(fib_conflicts({rule}, settings), IsEmpty());
  rule.mark = {0x10000001, 0xffffffff};
  EXPECT_THAT(fib_conflicts({rule}, settings), ElementsAre(HasSubstr("(--mark)")));
  rule.mark = {0x0, 0xf0000000};
  EXPECT_THAT(fib_conflicts({rule}, settings), SizeIs(3));
  rule.mark = {};
  for (const std::uint32_t priority : {99U, 100U, 101U}) {
    rule.priority = priority;
    EXPECT_THAT(fib_conflicts({rule}, settings),
                ElementsAre(AllOf(HasSubstr("lookup 77"), HasSubstr("99 to 101"), HasSubstr("--priority"))));
  }
  for (const std::uint32_t priority : {0U, 98U, 102U, 0xffffffffU}) {
    rule.priority = priority;
    EXPECT_THAT(fib_conflicts({rule}, settings), IsEmpty());
  }
  rule.priority = 100;
  rule.protocol = limpid_protocol;  // ours
  EXPECT_THAT(fib_conflicts({rule}, settings), IsEmpty());
}

TEST(Judge, FindsRoutesOfOthersInOurTable) {
  EXPECT_THAT(route_conflicts({{.family = AF_INET, .table = 5300}}, {}), IsEmpty());
  EXPECT_THAT(route_conflicts({{.family = AF_INET6, .table = 5300, .protocol = 4}}, {}),
              ElementsAre("route table 5300 has IPv6 routes of somebody else (protocol 4): choose another with table "
                          "(--table)"));
}

TEST(Judge, SetUpsForProxiesShareTheirBitsByValues) {
  const Instance web{.name = "web", .protocol = first_rules_protocol};
  Intercept settings;
  settings.own_mark = {};
  settings.mark = {0x01000000, 0x0f000000};
  settings.local_mark = {0x02000000, 0x0f000000};
  FibRule other;
  other.priority = 900;
  other.mark = {0x03000000, 0x0f000000};
  other.protocol = first_rules_protocol + 1;
  EXPECT_THAT(fib_conflicts({other}, settings, web), IsEmpty());
  other.mark.bits = 0x02000000;
  EXPECT_THAT(fib_conflicts({other}, settings, web), ElementsAre(HasSubstr("(--local-mark)")));
  other.mark = {0x03000000, 0x0f000000};
  other.protocol = 4;  // anybody's
  EXPECT_THAT(fib_conflicts({other}, settings, web), SizeIs(2));
  const std::string like = "table inet limpid_rules_mail {\n\tchain c {\n\t\taccept\n\t}\n}\n";
  EXPECT_THAT(parse_ruleset(like, web), IsEmpty());
  EXPECT_THAT(parse_ruleset(like), SizeIs(1));
}

TEST(Judge, KnowsRulesThatNeedConntrack) {
  EXPECT_FALSE(uses_conntrack({chain_with("tcp dport 80 accept comment \"ct masquerade\"")}));
  for (const char* const rule : {"ct state established accept", "oifname \"wan0\" masquerade",
                                 "tcp dport 80 dnat to 192.0.2.1", "tcp dport 80 redirect to :8080", "flow add @f"})
    EXPECT_TRUE(uses_conntrack({chain_with(rule)})) << rule;
  EXPECT_TRUE(uses_conntrack({{"ip", "nat", "post", "type nat hook postrouting priority srcnat; policy accept;", {}}}));
}

TEST(Judge, FindsInputChainsThatDropWhatIsIntercepted) {
  NftChain chain{
      "inet", "host", "in", "type filter hook input priority filter; policy drop;", {"iifname \"lo\" accept"}};
  EXPECT_THAT(input_drops({chain}, {}),
              ElementsAre("nft table inet host, chain in drops what it does not know, and intercepted connections come "
                          "through it: nft insert rule inet host in meta mark and 0x10000000 == 0x10000000 accept"));
  chain.rules.push_back("meta mark & 0x10000000 == 0x10000000 accept");
  EXPECT_THAT(input_drops({chain}, {}), IsEmpty());
  EXPECT_THAT(input_drops({{"ip6", "filter", "INPUT", chain.hook, {}}}, {}),
              ElementsAre(HasSubstr("ip6tables -I INPUT -m mark --mark 0x10000000/0x10000000 -j ACCEPT")));
}

TEST(Judge, FindsForwardChainsThatDropWhatIsLeftToTheKernel) {
  NftChain chain{"inet", "host", "fwd", "type filter hook forward priority filter; policy drop;", {}};
  EXPECT_THAT(forward_drops({chain}, {}),
              ElementsAre(HasSubstr("nft insert rule inet host fwd meta mark and 0x40000000 == 0x40000000 accept")));
  EXPECT_THAT(input_drops({chain}, {}), IsEmpty());
  chain.rules = {"meta mark & 0x40000000 == 0x40000000 accept"};
  EXPECT_THAT(forward_drops({chain}, {}), IsEmpty());
  EXPECT_THAT(forward_drops({{"ip", "filter", "FORWARD", chain.hook, {}}}, {}),
              ElementsAre(HasSubstr("iptables -I FORWARD -m mark --mark 0x40000000/0x40000000 -j ACCEPT")));
}

TEST(Judge, FindsInputChainsWhoseLastRuleRefusesTheRest) {
  const std::string hook = "type filter hook input priority filter; policy accept;";
  EXPECT_THAT(input_drops({{"inet", "f", "in", hook, {"counter reject with icmpx admin-prohibited"}}}, {}), SizeIs(1));
  EXPECT_THAT(input_drops({{"inet", "f", "in", hook, {"drop", "accept"}}}, {}), IsEmpty());
  EXPECT_THAT(input_drops({{"inet", "f", "in", hook, {"ct state invalid drop"}}}, {}), IsEmpty());
  EXPECT_THAT(input_drops({{"inet", "f", "fwd", "type filter hook forward priority filter; policy drop;", {}}}, {}),
              IsEmpty());
}

TEST(Judge, ReadsTheCounterOfSynCookies) {
  EXPECT_EQ(cookies_sent("TcpExt: SyncookiesSent SyncookiesRecv\nTcpExt: 12 3\nIpExt: A\nIpExt: 1\n"), 12U);
  EXPECT_EQ(cookies_sent("TcpExt: Other\nTcpExt: 12\n"), 0U);
  EXPECT_EQ(cookies_sent("TcpExt: Other SyncookiesSent\nTcpExt: 12\n"), 0U);
  EXPECT_EQ(cookies_sent(""), 0U);
}

}  // namespace
}  // namespace limpid
