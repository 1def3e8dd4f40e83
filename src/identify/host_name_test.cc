// SPDX-License-Identifier: MIT
#include "identify/host_name.h"

#include <gtest/gtest.h>

namespace limpid {
namespace {

std::string labels(std::size_t count, std::size_t length) {
  std::string name;
  for (std::size_t label = 0; label < count; ++label) name += std::string(length, 'a') + ".";
  return name;
}

TEST(HostName, IsInLowerCaseWithoutTheDotAtItsEnd) {
  EXPECT_EQ(host_name("Example.COM"), "example.com");
  EXPECT_EQ(host_name("example.com."), "example.com");
  EXPECT_EQ(host_name("_dmarc.xn--bcher-kva.example"), "_dmarc.xn--bcher-kva.example");
  EXPECT_EQ(host_name("r3---sn-4g5e6nz7.example"), "r3---sn-4g5e6nz7.example");
  EXPECT_EQ(host_name("localhost"), "localhost");
  EXPECT_EQ(host_name("192.0.2.1.example"), "192.0.2.1.example");
}

TEST(HostName, IsNoAddress) {
  for (const char* text : {"192.0.2.1", "192.0.2.1.", "127.1", "3232235777", "0x7f.1", "0x7f000001", "1.0xA", "0x",
                           "::1", "[::1]", "2001:db8::1", "fe80::1%eth0"})
    EXPECT_EQ(host_name(text), "") << text;
}

TEST(HostName, IsEmptyForWhatIsNoName) {
  for (const char* text : {"", ".", "..", "a..b", ".a", "a b", "a/b", "a:80", "*.example", "user@example",
                           "b\xc3\xbc"
                           "cher",
                           "a\nb", "a,b", "a%41"})
    EXPECT_EQ(host_name(text), "") << text;
  EXPECT_EQ(host_name(std::string_view("a\0b", 3)), "");
}

TEST(HostName, HasLabelsOf63BytesAnd253InAll) {
  EXPECT_EQ(host_name(labels(1, 63) + "com").size(), 67U);
  EXPECT_EQ(host_name(labels(1, 64) + "com"), "");
  EXPECT_EQ(host_name(labels(125, 1) + "com").size(), 253U);
  EXPECT_EQ(host_name(labels(125, 1) + "com.").size(), 253U);
  EXPECT_EQ(host_name(labels(125, 1) + "comm"), "");
}

TEST(Authority, IsAHostAndMaybeAPort) {
  EXPECT_EQ(host_of_authority("Example.com"), "example.com");
  EXPECT_EQ(host_of_authority("example.com:8080"), "example.com");
  EXPECT_EQ(host_of_authority("example.com.:80"), "example.com");
  EXPECT_EQ(host_of_authority("example.com:"), "example.com");  // RFC 3986, 3.2.3
  for (const char* text : {"", ":80", "192.0.2.1:80", "[::1]", "[::1]:80", "::1", "example.com:port",
                           "example.com:808080", "a:1:2", "user@example.com", "user:1@example.com"})
    EXPECT_EQ(host_of_authority(text), "") << text;
}

TEST(OneHost, IsNoneOfTwoThatDiffer) {
  OneHost none, same, different, invalid;
  EXPECT_FALSE(none.is_there());
  same.add("a.example");
  same.add("a.example");
  EXPECT_EQ(same.take(), "a.example");
  different.add("a.example");
  different.add("b.example");
  different.add("b.example");
  EXPECT_EQ(different.take(), "");
  invalid.add("");
  invalid.add("b.example");
  EXPECT_TRUE(invalid.is_there());
  EXPECT_EQ(invalid.take(), "");
}

}  // namespace
}  // namespace limpid
