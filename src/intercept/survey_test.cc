// SPDX-License-Identifier: MIT
#include "intercept/survey.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "intercept/example_plan.h"
#include "intercept/installation.h"
#include "net/fresh_namespace.h"

namespace limpid {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct SurveyTest : FreshNamespace {
  Plan plan = example_plan();

  void SetUp() override {
    FreshNamespace::SetUp();
    shell("sysctl -qw net.ipv4.tcp_syncookies=1");
    surveyor_.emplace(std::move(*Surveyor::open()));
  }
  Survey look(const Conditions& current = {}) {
    const Result<Survey> survey = surveyor_->look(plan, current);
    EXPECT_TRUE(survey) << survey.error().what;
    return *survey;
  }
  std::vector<std::string> conflicts() { return sentences(look().conflicts); }
  std::vector<std::string> degraded() { return sentences(look().degraded); }

 private:
  static std::vector<std::string> sentences(const std::vector<Remark>& remarks) {
    std::vector<std::string> result;
    for (const Remark& remark : remarks) result.push_back(remark.sentence);
    return result;
  }

  std::optional<Surveyor> surveyor_;
};

TEST_F(SurveyTest, FindsNothingOnAMachineWithNothingOnIt) { EXPECT_EQ(look(), Survey{}); }

TEST_F(SurveyTest, DoesNotTakeOurOwnWorkForSomebodyElses) {
  plan.settings.local = true;
  plan.settings.without_us = WithoutUs::closed;
  const Conditions conditions{.taking = true, .zones = true, .early = true, .cookies = true, .filters = true};
  const Result<Installation> installation = Installation::install(plan, conditions);
  ASSERT_TRUE(installation) << installation.error().what;
  EXPECT_EQ(look(conditions), Survey{});
}

TEST_F(SurveyTest, FindsThatForwardedPacketsMeetAChain) {
  EXPECT_FALSE(look().filters);
  shell("nft 'add table ip other; add chain ip other f { type filter hook forward priority 0; }'");
  EXPECT_TRUE(look().filters);
}

TEST_F(SurveyTest, FindsOurMarksInNftables) {
  shell("nft add table ip other; nft add chain ip other c; nft add rule ip other c meta mark set 0x10000000");
  EXPECT_THAT(conflicts(), ElementsAre(AllOf(HasSubstr("nft table ip other, chain c"), HasSubstr("--mark"))));
}

TEST_F(SurveyTest, FindsOurMarksInIptables) {
  shell("iptables-nft -t mangle -A PREROUTING -j MARK --set-xmark 0x20000000/0xf0000000");
  EXPECT_THAT(conflicts(), SizeIs(3));
}

TEST_F(SurveyTest, LetsTailscalesAndKubernetesMarksBe) {
  shell("iptables-nft -t mangle -A PREROUTING -j MARK --set-xmark 0x40000/0xff0000");
  shell("iptables-nft -t nat -A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE");
  shell("ip rule add fwmark 0x80000/0xff0000 lookup main priority 5210");
  EXPECT_THAT(conflicts(), IsEmpty());
}

TEST_F(SurveyTest, FindsFibRulesAndRoutesOfOthers) {
  shell("ip -6 rule add fwmark 0x10000000/0xf0000000 lookup 77 priority 50");
  EXPECT_THAT(conflicts(), SizeIs(3));
  shell("ip -6 rule del priority 50; ip rule add lookup main priority 100");
  EXPECT_THAT(conflicts(), ElementsAre(HasSubstr("--priority")));
  shell("ip rule del priority 100; ip route add 203.0.113.0/24 dev lo table 5300");
  EXPECT_THAT(conflicts(), ElementsAre(HasSubstr("--table")));
}

TEST_F(SurveyTest, FindsThatTheLoopbackInterfaceIsDown) {
  shell("ip link set lo down");
  EXPECT_THAT(conflicts(), ElementsAre(HasSubstr("ip link set lo up")));
}

TEST_F(SurveyTest, SaysThatIpv6IsSwitchedOff) {
  shell("sysctl -qw net.ipv6.conf.lo.disable_ipv6=1");
  EXPECT_THAT(degraded(), ElementsAre(HasSubstr("IPv6 is switched off")));
}

TEST_F(SurveyTest, SeesThatOthersTrackConnections) {
  EXPECT_FALSE(look().conntrack);
  shell("iptables-nft -t nat -A POSTROUTING -j MASQUERADE");
  EXPECT_TRUE(look().conntrack);
  EXPECT_TRUE(look({.zones = true}).conntrack);
  shell("nft flush ruleset");
  EXPECT_FALSE(look({.zones = true}).conntrack);
}

TEST_F(SurveyTest, SeesABridgeThatHandsItsPacketsToIptables) {
  shell(
      "ip link add br0 type bridge; sysctl -qw net.bridge.bridge-nf-call-iptables=0 "
      "net.bridge.bridge-nf-call-ip6tables=0");
  EXPECT_FALSE(look().bridge);
  shell("ip link set br0 type bridge nf_call_ip6tables 1");
  EXPECT_TRUE(look().bridge);
  shell("ip link set br0 type bridge nf_call_ip6tables 0; sysctl -qw net.bridge.bridge-nf-call-iptables=1");
  EXPECT_TRUE(look().bridge);
  shell("ip link del br0");
  EXPECT_FALSE(look().bridge);
}

TEST_F(SurveyTest, SaysWhichRuleAnInputChainWants) {
  shell("iptables-nft -P INPUT DROP");
  const std::string sentence = degraded().at(0);
  const std::string rule = sentence.substr(sentence.find("iptables -I"));
  shell(rule);
  EXPECT_EQ(look(), Survey{});
  shell("nft -f - <<'END'\ntable inet host { chain in { type filter hook input priority 0; policy drop; } ; }\nEND");
  const std::string other = degraded().at(0);
  shell(other.substr(other.find("nft insert")));
  EXPECT_EQ(look(), Survey{});
}

TEST_F(SurveyTest, SeesSynCookies) {
  EXPECT_FALSE(look().cookies);
  shell("sysctl -qw net.ipv4.tcp_syncookies=2");
  EXPECT_TRUE(look().cookies);
  shell(
      "python3 -c 'import socket; s = socket.create_server((\"127.0.0.1\", 0)); "
      "socket.create_connection(s.getsockname())'; sysctl -qw net.ipv4.tcp_syncookies=1");
  EXPECT_TRUE(look().cookies) << "they have been sent since the first look";
}

}  // namespace
}  // namespace limpid
