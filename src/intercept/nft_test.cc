// SPDX-License-Identifier: MIT
#include "intercept/nft.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/fresh_namespace.h"

namespace limpid {
namespace {

using ::testing::HasSubstr;

struct NftTest : FreshNamespace {
  void SetUp() override {
    FreshNamespace::SetUp();
    nft.emplace(std::move(*Nft::open()));
  }
  std::optional<Nft> nft;
};

TEST_F(NftTest, ReturnsWhatNftPrintsAndEachTimeOnlyThat) {
  ASSERT_TRUE(nft->run("add table inet one\n"));
  EXPECT_EQ(*nft->run("list tables\n"), "table inet one\n");
  EXPECT_EQ(*nft->run("list tables\n"), "table inet one\n");
  ASSERT_FALSE(nft->run("delete table inet two\n"));
  EXPECT_EQ(*nft->list("tables"), "table inet one\n");
}

TEST_F(NftTest, SaysOnOneLineWhyItRefuses) {
  const auto result = nft->run("add table inet one\nadd chain inet two c\n");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().what, "nft: No such file or directory");
  EXPECT_EQ(*nft->run("list tables\n"), "") << "all or nothing";
}

TEST_F(NftTest, ChecksWithoutChanging) {
  EXPECT_TRUE(nft->check("add table inet one\n"));
  EXPECT_FALSE(nft->check("add tablet inet one\n"));
  EXPECT_EQ(*nft->run("list tables\n"), "");
}

TEST_F(NftTest, TellsWhoHoldsATable) {
  EXPECT_EQ(*holder_of(*nft, "inet one"), Holder::none);
  ASSERT_TRUE(nft->run("add table inet one\ntable inet two { flags owner; }\n"));
  EXPECT_EQ(*holder_of(*nft, "inet one"), Holder::nobody);
  EXPECT_EQ(*holder_of(*nft, "inet two"), Holder::owner);
  EXPECT_EQ(*holder_of(*nft, "inet tw"), Holder::none);
}

TEST_F(NftTest, TakesItsTablesAlongThoughAnExecutedChildLives) {
  ASSERT_TRUE(nft->run("table inet one { flags owner; }\n"));
  FILE* const child = popen("read line", "w");  // until its end of file
  ASSERT_NE(child, nullptr);
  nft.reset();
  EXPECT_EQ(shell("nft list tables"), "");
  pclose(child);
}

TEST_F(NftTest, KeepsItsTableWhileOthersChangeTheRulesetUnderItsHands) {
  ASSERT_TRUE(nft->run("table inet one { flags owner; }\n"));
  FILE* const child =
      popen("for i in $(seq 200); do echo 'add table inet x; delete table inet x'; done | nft -i >/dev/null 2>&1", "r");
  ASSERT_NE(child, nullptr);
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(nft->list("ruleset"));
    ASSERT_TRUE(nft->run("add set inet one s { type inet_service; }\ndelete set inet one s\n"));
  }
  pclose(child);
  EXPECT_THAT(shell("nft list ruleset"), HasSubstr("table inet one"));
}

}  // namespace
}  // namespace limpid
