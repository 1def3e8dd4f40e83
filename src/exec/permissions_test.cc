// SPDX-License-Identifier: MIT
#include "exec/permissions.h"

#include <gtest/gtest.h>

namespace limpid {
namespace {

Endpoint at(const char* address, std::uint16_t port = 0) { return {*Address::parse(address), port}; }

TEST(Source, IsAnAddressWithOrWithoutAPort) {
  EXPECT_EQ(*parse_source_address("192.0.2.1"), at("192.0.2.1"));
  EXPECT_EQ(*parse_source_address("192.0.2.1:5000"), at("192.0.2.1", 5000));
  EXPECT_EQ(*parse_source_address("2001:db8::1"), at("2001:db8::1"));
  EXPECT_EQ(*parse_source_address("[2001:db8::1]:5000"), at("2001:db8::1", 5000));
}

TEST(Source, IsRefusedWhereNothingCanLeaveFromIt) {
  for (const char* text :
       {"", "host.example", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:", "[2001:db8::1]", "0.0.0.0", "0.0.0.0:80",
        "::", "[::]:80", "::ffff:192.0.2.1", "[::ffff:192.0.2.1]:80", "10.0.0.0/8"})
    EXPECT_FALSE(parse_source_address(text)) << text;
  EXPECT_EQ(parse_source_address("::ffff:192.0.2.1").error().what,
            "::ffff:192.0.2.1 is an IPv4 address: write 192.0.2.1");
}

TEST(SourceTowards, ADestinationOfItsFamilyIsTheOneThatIsWanted) {
  const Endpoint ipv4 = at("192.0.2.1", 5000);
  const Endpoint ipv6 = at("2001:db8::1");
  EXPECT_EQ(source_towards(at("203.0.113.1", 80), AF_INET, ipv4), ipv4);
  EXPECT_EQ(source_towards(at("2001:db8:1::1", 80), AF_INET6, ipv6), ipv6);
  EXPECT_EQ(source_towards(at("203.0.113.1", 80), AF_INET, ipv6), std::nullopt);
  EXPECT_EQ(source_towards(at("2001:db8:1::1", 80), AF_INET6, ipv4), std::nullopt);
}

TEST(SourceTowards, AMappedDestinationIsMappedToo) {
  const Endpoint mapped = at("::ffff:203.0.113.1", 80);
  EXPECT_EQ(source_towards(mapped, AF_INET6, at("192.0.2.1", 5000)), at("::ffff:192.0.2.1", 5000));
  EXPECT_EQ(source_towards(mapped, AF_INET6, at("2001:db8::1")), std::nullopt);
  EXPECT_EQ(source_towards(mapped, AF_INET, at("192.0.2.1")), std::nullopt);
  EXPECT_EQ(source_towards(at("203.0.113.1", 80), AF_INET6, at("192.0.2.1")), at("::ffff:192.0.2.1"));
}

TEST(SourceTowards, LoopbackLeadsToLoopbackAlone) {
  for (const char* text : {"127.0.0.1", "127.0.0.53", "0.0.0.0"}) {
    EXPECT_EQ(source_towards(at(text, 53), AF_INET, at("192.0.2.1")), std::nullopt) << text;
    EXPECT_EQ(source_towards(at(text, 53), AF_INET, at("127.0.0.9")), at("127.0.0.9")) << text;
  }
  for (const char* text : {"::1", "::"})
    EXPECT_EQ(source_towards(at(text, 53), AF_INET6, at("2001:db8::1")), std::nullopt) << text;
  EXPECT_EQ(source_towards(at("::ffff:127.0.0.1", 53), AF_INET6, at("192.0.2.1")), std::nullopt);
  EXPECT_EQ(source_towards(at("203.0.113.1", 53), AF_INET, at("127.0.0.9")), std::nullopt);
}

}  // namespace
}  // namespace limpid
