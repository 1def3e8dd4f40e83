// SPDX-License-Identifier: MIT
#include "proxy/client_table.h"

#include <gmock/gmock.h>

#include <vector>

namespace limpid {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const Address first_client = *Address::parse("10.1.0.2");
const Address second_client = *Address::parse("fd00:1::2");

class TableOfClients : public testing::Test {
 protected:
  int& at(const Address& client, std::string_view key) {
    return table.at(client, key, [this](int value) { gone.push_back(value); });
  }
  void fill(const Address& client, std::initializer_list<int> values) {
    for (const int value : values) at(client, std::to_string(value)) = value;
  }

  ClientTable<int> table{{.entries = 5, .entries_per_client = 3}};
  std::vector<int> gone;
};

TEST_F(TableOfClients, KeepsOneEntryForEachClientAndKey) {
  fill(first_client, {1, 2});
  at(second_client, "1") = 11;
  EXPECT_EQ(at(first_client, "1"), 1);
  EXPECT_EQ(*table.find(second_client, "1"), 11);
  EXPECT_EQ(table.find(second_client, "2"), nullptr);
  EXPECT_EQ(table.size(), 3u);
  EXPECT_THAT(gone, IsEmpty());
}

TEST_F(TableOfClients, TakesAnEntryOut) {
  fill(first_client, {1, 2});
  EXPECT_TRUE(table.erase(first_client, "1"));
  EXPECT_FALSE(table.erase(first_client, "1"));
  EXPECT_FALSE(table.erase(second_client, "2"));
  EXPECT_EQ(table.find(first_client, "1"), nullptr);
  EXPECT_EQ(table.size(), 1u);
}

TEST_F(TableOfClients, HasAClientsLeastRecentlyUsedEntryGoForItsNext) {
  fill(first_client, {1, 2, 3});
  EXPECT_NE(table.find(first_client, "1"), nullptr);
  fill(first_client, {4});
  EXPECT_THAT(gone, ElementsAre(2));
  EXPECT_EQ(table.size(), 3u);
}

TEST_F(TableOfClients, HasTheLeastRecentlyUsedOfAllGoWhereItIsFull) {
  fill(first_client, {1, 2, 3});
  fill(second_client, {4, 5});
  fill(first_client, {1});
  fill(second_client, {6});
  EXPECT_THAT(gone, ElementsAre(2));
  EXPECT_EQ(table.size(), 5u);
}

TEST_F(TableOfClients, MayHoldOneEntryAlone) {
  ClientTable<int> one({.entries = 1, .entries_per_client = 1});
  const auto ignore = [](int) {};
  one.at(first_client, "a", ignore) = 1;
  one.at(second_client, "b", ignore) = 2;
  one.at(second_client, "c", ignore) = 3;
  EXPECT_EQ(one.size(), 1u);
  EXPECT_EQ(*one.find(second_client, "c"), 3);
}

}  // namespace
}  // namespace limpid
