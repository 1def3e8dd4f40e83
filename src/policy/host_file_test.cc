// SPDX-License-Identifier: MIT
#include "policy/host_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/host_table.h"

namespace limpid {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::StartsWith;

struct Read {
  std::vector<std::string> names;
  HostFileErrors errors;
};

Read read(std::string_view text) {
  Read result;
  result.errors = read_host_file(text, [&](std::string_view name) -> Result<> {
    Result<std::string> pattern = parse_host_pattern(name);
    if (!pattern) return std::unexpected(pattern.error());
    result.names.push_back(*pattern);
    return {};
  });
  return result;
}

TEST(HostFile, IsAListOfPatternsOneALine) {
  const Read result = read("# trackers\r\nTracker.example\r\n\r\n  *.ads.example \t# all of them\n#\nlast.example");
  EXPECT_THAT(result.names, ElementsAre("tracker.example", "*.ads.example", "last.example"));
  EXPECT_TRUE(result.errors.empty());
}

TEST(HostFile, IsHostsAsBlockListsHaveThem) {
  const Read result = read(
      "127.0.0.1 localhost\n127.0.0.1 localhost.localdomain\n127.0.0.1 local\n255.255.255.255 broadcasthost\n"
      "::1 localhost\n::1 ip6-localhost\nfe80::1%lo0 localhost\nff02::1 ip6-allnodes\n0.0.0.0 0.0.0.0\n0.0.0.0\n"
      "0.0.0.0 ads.example tracker.example # two\n::\tads6.example\n");
  EXPECT_THAT(result.names, ElementsAre("ads.example", "tracker.example", "ads6.example"));
  EXPECT_TRUE(result.errors.empty());
}

TEST(HostFile, ANameOfThisMachineInAPlainListIsMeant) {
  EXPECT_THAT(read("localhost\n192.0.2.1\n").names, ElementsAre("localhost", "192.0.2.1"));
}

TEST(HostFile, BeginsAfterAByteOrderMark) {
  EXPECT_THAT(read("\xef\xbb\xbf"
                   "a.example\n")
                  .names,
              ElementsAre("a.example"));
}

TEST(HostFile, NothingInItIsNoError) {
  for (const char* text : {"", "\n", "#", "\r\n \t\r\n"}) {
    const Read result = read(text);
    EXPECT_TRUE(result.names.empty());
    EXPECT_TRUE(result.errors.empty());
  }
}

TEST(HostFile, ErrorsSayLineAndColumnAndTheRestIsRead) {
  const Read result = read("good.example\n  bad..example\n0.0.0.0 also.good b*d\nad.example ad2.example\n");
  EXPECT_THAT(result.names, ElementsAre("good.example", "also.good"));
  const auto at = [](std::size_t line, std::size_t column, std::string_view what) {
    return AllOf(Field(&HostFileError::line, line), Field(&HostFileError::column, column),
                 Field(&HostFileError::what, StartsWith(std::string(what))));
  };
  EXPECT_THAT(result.errors.first,
              ElementsAre(at(2, 3, "\"bad..example\""), at(3, 19, "\"b*d\""), at(4, 12, "a line has one name")));
}

TEST(HostFile, OfManyErrorsTenAreToldAndTheRestCounted) {
  std::string text;
  for (int line = 0; line < 1000; ++line) text += "||ads.example^\n";
  const HostFileErrors errors = read(text).errors;
  ASSERT_EQ(errors.first.size(), 10);
  EXPECT_EQ(errors.first[9].line, 10);
  EXPECT_EQ(errors.more, 990);
}

TEST(HostFile, ALineThatIsTooLongIsNotRead) {
  const Read result = read("0.0.0.0 " + std::string(5000, 'a') + "\n" + std::string(5000, ' ') + "\nb.example\n");
  EXPECT_THAT(result.names, ElementsAre("b.example"));
  ASSERT_EQ(result.errors.first.size(), 2);
  EXPECT_THAT(result.errors.first[0].what, HasSubstr("4096"));
}

}  // namespace
}  // namespace limpid
