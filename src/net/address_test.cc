// SPDX-License-Identifier: MIT
#include "net/address.h"

#include <gtest/gtest.h>

namespace limpid {
namespace {

TEST(Address, ReadsBothFamiliesAndNothingElse) {
  for (const char* text : {"192.0.2.1", "0.0.0.0", "2001:db8::1", "::", "::ffff:192.0.2.1"}) {
    const Result<Address> address = Address::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->text(), text);
  }
  for (const char* text : {"", "192.0.2", "192.0.2.256", "host.example", "2001:db8::1%eth0", "1.2.3.4 ", "[::1]"})
    EXPECT_FALSE(Address::parse(text)) << text;
  EXPECT_FALSE(Address::parse(std::string_view("10.0.0.1\0junk", 13)));
}

TEST(Address, KnowsLoopbackAndItsMappedForm) {
  for (const char* text : {"127.0.0.1", "127.255.0.3", "::1"}) EXPECT_TRUE(Address::parse(text)->is_loopback()) << text;
  for (const char* text : {"128.0.0.1", "0.0.0.0", "::", "::2", "::ffff:127.0.0.1"})
    EXPECT_FALSE(Address::parse(text)->is_loopback()) << text;
  const Address ipv4 = *Address::parse("192.0.2.1");
  const Address ipv6 = *Address::parse("2001:db8::1");
  EXPECT_EQ(ipv4.mapped(), *Address::parse("::ffff:192.0.2.1"));
  EXPECT_EQ(ipv4.mapped().unmapped(), ipv4);
  EXPECT_EQ(ipv4.unmapped(), ipv4);
  EXPECT_EQ(ipv6.mapped(), ipv6);
  EXPECT_EQ(ipv6.unmapped(), ipv6);
}

TEST(Endpoint, GoesThroughASockaddrAndBack) {
  for (const char* text : {"192.0.2.1", "2001:db8::1"}) {
    const Endpoint endpoint{*Address::parse(text), 443};
    sockaddr_storage storage;
    EXPECT_EQ(endpoint.to_sockaddr(storage), endpoint.family() == AF_INET ? 16U : 28U);
    EXPECT_EQ(Endpoint::from_sockaddr(storage), endpoint);
  }
  EXPECT_EQ((Endpoint{*Address::parse("192.0.2.1"), 80}.text()), "192.0.2.1:80");
  EXPECT_EQ((Endpoint{*Address::parse("2001:db8::1"), 80}.text()), "[2001:db8::1]:80");
}

TEST(Prefix, ContainsItsOwnFamilysAddressesOnly) {
  const Prefix prefix = *Prefix::parse("10.8.0.0/13");
  EXPECT_TRUE(prefix.contains(*Address::parse("10.15.255.255")));
  EXPECT_FALSE(prefix.contains(*Address::parse("10.16.0.0")));
  EXPECT_FALSE(prefix.contains(*Address::parse("a08::")));
  EXPECT_TRUE(Prefix::parse("::/0")->contains(*Address::parse("2001:db8::1")));
  EXPECT_EQ(Prefix::parse("192.0.2.1")->length, 32);
}

TEST(Prefix, RefusesHostBitsAndOddLengths) {
  for (const char* text : {"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "::1/64", "x/8", "::/129"})
    EXPECT_FALSE(Prefix::parse(text)) << text;
}

TEST(PortRange, ReadsAPortOrARange) {
  EXPECT_EQ(*PortRange::parse("80"), (PortRange{80, 80}));
  EXPECT_EQ(PortRange::parse("8000-8999")->text(), "8000-8999");
  for (const char* text : {"0", "65536", "9-8", "80-", "-80", "1-2-3", "http", ""})
    EXPECT_FALSE(PortRange::parse(text)) << text;
}

TEST(Mark, NeedsBitsAndKeepsThemInItsMask) {
  EXPECT_EQ(*Mark::parse("0x10/0xf0"), (Mark{0x10, 0xf0}));
  EXPECT_EQ(*Mark::parse("16"), (Mark{16, 16}));
  for (const char* text : {"0", "0x0/0xff", "0x10/0x0f", "0x1ffffffff", "mark", "0x10/", ""})
    EXPECT_FALSE(Mark::parse(text)) << text;
}

}  // namespace
}  // namespace limpid
