// SPDX-License-Identifier: MIT
#include "policy/host_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>

namespace limpid {
namespace {

using testing::HasSubstr;

// A table of which only one thing is asked.
struct HostSet : HostTable {
  using HostTable::HostTable;

  bool add(std::string_view pattern) {
    const Result<std::uint32_t*> number = at(pattern);
    if (number) **number = 1;
    return number.has_value();
  }
  [[nodiscard]] bool contains(std::string_view host) const {
    bool found = false;
    match(host, [&](std::uint32_t number) { found |= number == 1; });
    return found;
  }
};

HostSet set_of(std::initializer_list<std::string_view> patterns, HashSeed seed = {1, 2}) {
  HostSet set(seed);
  for (const std::string_view pattern : patterns) EXPECT_TRUE(set.add(pattern)) << pattern;
  return set;
}

TEST(HostPattern, IsWrittenInLowerCaseWithoutTheTrailingDot) {
  for (const auto& [text, wanted] : {std::pair{"example.com", "example.com"},
                                     {"WWW.Example.COM.", "www.example.com"},
                                     {"*.Ads.Example", "*.ads.example"},
                                     {"_dmarc.a-b.example", "_dmarc.a-b.example"},
                                     {"xn--bcher-kva.example", "xn--bcher-kva.example"},
                                     {"localhost", "localhost"},
                                     {"*.com", "*.com"},
                                     {"192.0.2.1", "192.0.2.1"}}) {
    const Result<std::string> pattern = parse_host_pattern(text);
    ASSERT_TRUE(pattern) << pattern.error().what;
    EXPECT_EQ(*pattern, wanted);
    EXPECT_EQ(*parse_host_pattern(*pattern), wanted);
  }
}

TEST(HostPattern, QuotesWhatItRefusesAndSaysWhy) {
  const std::string long_label(64, 'a'), long_name = std::string(50, 'a') + "." + std::string(203, 'b');
  for (const auto& [text, why] :
       std::initializer_list<std::pair<std::string, std::string>>{{"", "example.com"},
                                                                  {".", "example.com"},
                                                                  {"*", "leave host out"},
                                                                  {"*.", "leave host out"},
                                                                  {"a..b", "a dot too many"},
                                                                  {".example.com", "a dot too many"},
                                                                  {"example.com..", "a dot too many"},
                                                                  {"*..com", "a dot too many"},
                                                                  {"a*.example.com", "'*' can only be"},
                                                                  {"www.*.com", "'*' can only be"},
                                                                  {"*.*.com", "'*' can only be"},
                                                                  {"**.com", "'*' can only be"},
                                                                  {"https://example.com/", "not \":\""},
                                                                  {"example.com:443", "not \":\""},
                                                                  {"two words", "not \" \""},
                                                                  {"b\u00fccher.example", "xn--"},
                                                                  {long_label + ".com", "63 bytes"},
                                                                  {long_name, "253 bytes"}}) {
    const Result<std::string> pattern = parse_host_pattern(text);
    ASSERT_FALSE(pattern) << text;
    EXPECT_THAT(pattern.error().what, HasSubstr(why));
    EXPECT_THAT(pattern.error().what, HasSubstr(text.substr(0, 100)));
  }
}

TEST(HostPattern, RefusesInOneLineOfPlainText) {
  for (const std::string_view text :
       {std::string_view("a\nb"), std::string_view("a\0b", 3), std::string_view("\xff")}) {
    const Result<std::string> pattern = parse_host_pattern(text);
    for (const char byte : pattern.error().what) EXPECT_TRUE(byte >= ' ' && byte <= '~') << pattern.error().what;
  }
}

TEST(HostPattern, TakesTheLongestNameAndNoLonger) {
  const std::string label(63, 'a'), longest = label + '.' + label + '.' + label + '.' + label.substr(2);
  EXPECT_EQ(longest.size(), 253);
  EXPECT_TRUE(parse_host_pattern(longest));
  EXPECT_TRUE(parse_host_pattern(longest + '.'));
  EXPECT_FALSE(parse_host_pattern("a" + longest));
  EXPECT_TRUE(set_of({longest}).contains(longest));
}

TEST(HostTable, ANameIsThatNameOnly) {
  const HostSet set = set_of({"Example.com."});
  EXPECT_TRUE(set.contains("example.com"));
  for (const char* other : {"www.example.com", "com", "xample.com", "badexample.com", "example.comm", "example", ""})
    EXPECT_FALSE(set.contains(other)) << other;
}

TEST(HostTable, AStarIsEveryNameBelowAtAnyDepthAndNotTheNameItself) {
  const HostSet set = set_of({"*.ads.example"});
  EXPECT_TRUE(set.contains("a.ads.example"));
  EXPECT_TRUE(set.contains("d.c.b.a.ads.example"));
  for (const char* other :
       {"ads.example", "example", "a.example", "bads.example", "a.bads.example", "a.ads.example.org"})
    EXPECT_FALSE(set.contains(other)) << other;
}

TEST(HostTable, ANameAndAllBelowItAreTwoPatterns) {
  const HostSet set = set_of({"example.com", "*.example.com"});
  EXPECT_EQ(set.size(), 2);
  EXPECT_TRUE(set.contains("example.com"));
  EXPECT_TRUE(set.contains("www.example.com"));
}

TEST(HostTable, LooksAtEveryPatternThatCouldMatch) {
  const HostSet set = set_of({"*.com", "www.example.org", "*.a.b.c.d.e.f"});
  EXPECT_TRUE(set.contains("x.y.z.com"));
  EXPECT_TRUE(set.contains("www.example.org"));
  EXPECT_TRUE(set.contains("x.a.b.c.d.e.f"));
  EXPECT_FALSE(set.contains("org"));
  EXPECT_FALSE(set.contains("c.d.e.f"));
}

TEST(HostTable, AnEmptyOneContainsNothingAndTakesNoMemory) {
  const HostSet set(HashSeed{});
  EXPECT_FALSE(set.contains("example.com"));
  EXPECT_FALSE(set.contains(""));
  EXPECT_EQ(set.memory(), 0);
}

TEST(HostTable, AnswersTheSameWhateverTheSeed) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const HostSet set = set_of({"a.example", "*.b.example", "c.example"}, {seed, ~seed});
    EXPECT_TRUE(set.contains("a.example"));
    EXPECT_TRUE(set.contains("a.b.example"));
    EXPECT_FALSE(set.contains("b.example"));
    EXPECT_FALSE(set.contains("d.example"));
  }
}

TEST(HostTable, TakesAnyBytesAsAClaim) {
  const HostSet set = set_of({"*.example.com", "*.a", "example.com"});
  const std::string dots(70000, '.');
  EXPECT_FALSE(set.contains(dots));
  EXPECT_FALSE(set.contains(std::string(70000, 'a')));
  EXPECT_FALSE(set.contains(std::string_view("example.com\0", 12)));
  EXPECT_FALSE(set.contains("\xff.\xff"));
  EXPECT_FALSE(set.contains("*"));
  EXPECT_TRUE(set.contains(dots + "example.com"));
  EXPECT_TRUE(set.contains(std::string(70000, 'x') + ".example.com"));
}

TEST(HostTable, CopesWithTheDeepestNames) {
  std::string deepest = "a";
  while (deepest.size() < 253) deepest += ".a";
  const HostSet set = set_of({deepest});
  EXPECT_TRUE(set.contains(deepest));
  EXPECT_FALSE(set.contains("a." + deepest));
  EXPECT_FALSE(set.contains(std::string_view(deepest).substr(2)));
}

TEST(HostTable, HoldsAMillionNamesExactlyInAtMost64BytesEach) {
  constexpr std::size_t names = 1'000'000;
  const auto name = [](std::size_t number) {
    return fmt::format("host-{}.subdomain.example-{}.com", number, number % 977);
  };
  HostSet set({3, 4});
  for (std::size_t number = 0; number < names; ++number) ASSERT_TRUE(set.add(name(number)));
  ASSERT_EQ(set.size(), names);
  const std::size_t memory = set.memory();
  EXPECT_LE(memory, names * 64);
  for (std::size_t number = 0; number < names; number += 7) ASSERT_TRUE(set.add(name(number)));
  EXPECT_EQ(set.size(), names);
  EXPECT_EQ(set.memory(), memory);
  for (std::size_t number = 0; number < names; ++number) {
    ASSERT_TRUE(set.contains(name(number)));
    ASSERT_FALSE(set.contains(name(names + number)));
  }
}

TEST(HostTable, TellsTheNumberOfEachPatternThatMatches) {
  HostTable table({5, 6});
  std::uint32_t next = 0;
  for (const char* pattern : {"a.b.c", "*.b.c", "*.c", "b.c", "*.a.b.c"}) **table.at(pattern) = ++next;
  const auto numbers = [&](std::string_view host) {
    std::vector<std::uint32_t> found;
    table.match(host, [&](std::uint32_t number) { found.push_back(number); });
    return found;
  };
  EXPECT_THAT(numbers("a.b.c"), testing::UnorderedElementsAre(1, 2, 3));
  EXPECT_THAT(numbers("b.c"), testing::UnorderedElementsAre(3, 4));
  EXPECT_THAT(numbers("x.a.b.c"), testing::UnorderedElementsAre(2, 3, 5));
  EXPECT_EQ(**table.at("B.C."), 4);
  EXPECT_EQ(**table.at("new.c"), 0);
}

TEST(HostTable, AFewNamesTakeLittleMemory) { EXPECT_LE(set_of({"a.example", "*.b.example"}).memory(), 1024); }

}  // namespace
}  // namespace limpid
