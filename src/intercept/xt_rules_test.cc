// SPDX-License-Identifier: MIT
// What iptables has written is read back from the kernel, in both families and with all that TPROXY can say.
#include "intercept/xt_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "intercept/nft.h"
#include "net/fresh_namespace.h"

// For LeakSanitizer, which asks for it by this name: libnftables 1.0.6 forgets what it has made of a target that it
// cannot translate.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libnftables.so\nleak:libxtables.so\n"; }

namespace limpid {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct XtRulesTest : FreshNamespace {
  static std::string told() {
    Result<Nft> nft = Nft::open();
    const auto rules = xt_rules();
    const auto listing = nft->list_with_handles("ruleset");
    EXPECT_TRUE(rules && listing);
    return with_xt_told(*listing, *rules);
  }
};

TEST_F(XtRulesTest, IsToldInNftsOwnWords) {
  shell("iptables-nft -t mangle -A PREROUTING -i lan0 -p tcp --dport 80 -j TPROXY --on-port 9000 --tproxy-mark 1/1");
  shell("iptables-nft -t mangle -A PREROUTING -p udp --dport 53 -j TPROXY --on-port 53 --on-ip 127.0.0.1");
  shell("ip6tables-nft -t mangle -A PREROUTING -p tcp -j TPROXY --on-port 7 --on-ip ::1 --tproxy-mark 0x10");
  ASSERT_THAT(*xt_rules(), SizeIs(3));
  const std::string text = told();
  EXPECT_THAT(text, HasSubstr("iifname \"lan0\" tcp dport 80 counter tproxy to :9000 meta mark set meta mark and "
                              "0xfffffffe or 0x00000001 accept\n"));
  EXPECT_THAT(text, HasSubstr("udp dport 53 counter tproxy to 127.0.0.1:53 accept\n"));
  EXPECT_THAT(text, HasSubstr("meta l4proto tcp counter tproxy to [::1]:7 meta mark set 0x00000010 accept\n"));
  EXPECT_EQ(text.find("handle"), std::string::npos);
  EXPECT_EQ(text.find("xt target"), std::string::npos);
}

TEST_F(XtRulesTest, WhatNftLeavesOutIsNamedAndWhatItTranslatesIsNot) {
  for (const char* const command : {"iptables-nft", "ip6tables-nft"})
    for (const char* const rule : {"-t mangle -A PREROUTING -p tcp -m socket --transparent -j MARK --set-mark 1",
                                   "-A FORWARD -m conntrack --ctstate INVALID -m comment --comment why -j DROP",
                                   "-t nat -A POSTROUTING -j MASQUERADE"})
      shell(fmt::format("{} {}", command, rule));
  const std::string text = told();
  for (const char* const rule : {"xt match socket", "meta mark set", "ct state invalid", "masquerade"}) {
    const std::size_t first = text.find(rule);
    ASSERT_NE(first, std::string::npos) << rule << text;
  }
  const auto count = [&](std::string_view word) {
    int times = 0;
    for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++times;
    return times;
  };
  EXPECT_EQ(count("xt match socket"), 2) << text;
  EXPECT_EQ(count("ct state invalid"), 2) << text;
  EXPECT_EQ(count("xt match MARK") + count("xt match conntrack") + count("xt match comment"), 0) << text;
}

TEST_F(XtRulesTest, WhatIsToldLoads) {
  shell("iptables-nft -t mangle -A PREROUTING -i lan0 -p tcp --dport 80 -j TPROXY --on-port 9000 --tproxy-mark 1/1");
  shell("ip6tables-nft -t mangle -A PREROUTING -p tcp -j TPROXY --on-port 7 --on-ip ::1 --tproxy-mark 0x10");
  const std::string text = told();
  shell("nft flush ruleset");
  EXPECT_TRUE(Nft::open()->run(text));
  EXPECT_THAT(*xt_rules(), IsEmpty()) << "nftables' own are another thing";
}

}  // namespace
}  // namespace limpid
