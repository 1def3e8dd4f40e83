// SPDX-License-Identifier: MIT
#include "daemon/flow_messages.h"

#include <gtest/gtest.h>

namespace limpid {
namespace {

FlowAccount labelled(std::string host, std::string rule) {
  return {.ends = {{*Address::parse("10.1.0.2"), 5000}, {*Address::parse("203.0.113.9"), 443}},
          .time = std::chrono::system_clock::time_point(std::chrono::seconds(7)),
          .up = {.datagrams = 3, .bytes = 33},
          .down = {.datagrams = 4, .bytes = 44},
          .label = {.app = Application::quic, .host = std::move(host), .rule = std::move(rule), .rule_place = 9}};
}

FlowAccount plain() { return {.ends = labelled("", "").ends}; }

bool are_same(const FlowAccount& a, const FlowAccount& b) {
  return a.ends == b.ends && a.time == b.time && a.up.datagrams == b.up.datagrams && a.up.bytes == b.up.bytes &&
         a.down.datagrams == b.down.datagrams && a.down.bytes == b.down.bytes && a.label.app == b.label.app &&
         a.label.host == b.label.host && a.label.rule == b.label.rule && a.label.rule_place == b.label.rule_place;
}

TEST(FlowMessages, AreReadBackAsTheSameAccounts) {
  const std::vector<FlowAccount> accounts = {labelled("x.example", "no ads"), plain(), labelled("", "\xc3\xbc")};
  const PackedAccounts packed = pack_accounts(accounts, 4096);
  EXPECT_EQ(packed.count, 3u);
  const Result<std::vector<FlowAccount>> again = unpack_accounts(packed.body);
  ASSERT_TRUE(again) << again.error().what;
  ASSERT_EQ(again->size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(are_same((*again)[i], accounts[i])) << i;
  EXPECT_TRUE(unpack_accounts("")->empty());
}

TEST(FlowMessages, AreAsLongAsTheyMayBe) {
  const std::vector<FlowAccount> accounts(100, labelled(std::string(253, 'a'), std::string(64, 'b')));
  const PackedAccounts packed = pack_accounts(accounts, 4096);
  EXPECT_GE(packed.count, 4096u / 512u);
  EXPECT_LT(packed.count, 100u);
  EXPECT_LE(packed.body.size(), 4096u);
  EXPECT_GT(pack_accounts(std::vector(100, plain()), 4096).count, 35u);
  EXPECT_EQ(pack_accounts({}, 4096).count, 0u);
}

TEST(FlowMessages, ThatAreBrokenAreRefused) {
  const std::string body = pack_accounts(std::vector{labelled("x.example", "no ads")}, 4096).body;
  for (std::size_t size = 1; size < body.size(); ++size) EXPECT_FALSE(unpack_accounts(body.substr(0, size))) << size;
  EXPECT_FALSE(unpack_accounts(body + "x"));
  for (const std::string odd : {"a\"b", "a\\b", "a\nb", "a\x7f"})
    EXPECT_FALSE(unpack_accounts(pack_accounts(std::vector{labelled(odd, "no ads")}, 4096).body)) << odd;
}

}  // namespace
}  // namespace limpid
