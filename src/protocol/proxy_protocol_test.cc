// SPDX-License-Identifier: MIT
#include "protocol/proxy_protocol.h"

#include <gtest/gtest.h>

#include "protocol/in_pieces.h"

namespace limpid {
namespace {

using Header = std::vector<std::uint8_t>;

const Header signature = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
const Header block4 = {192, 168, 0, 1, 192, 168, 0, 11, 0xdc, 0x04, 1, 0xbb};

Header operator+(Header left, const Header& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}
Header line_of(std::string_view line) { return {line.begin(), line.end()}; }

Header v2(std::uint8_t command, std::uint8_t family, const Header& rest) {
  return signature +
         Header{command, family, static_cast<std::uint8_t>(rest.size() >> 8), static_cast<std::uint8_t>(rest.size())} +
         rest;
}

ProxiedConnection between(std::string_view client, std::string_view destination) {
  return {{*Address::parse(client), 56324}, {*Address::parse(destination), 443}};
}

struct Read {
  Outcome outcome;
  std::optional<ProxiedConnection> connection;
};

Read read(const Header& bytes) {
  ProxyHeaderReader reader;
  run_in_pieces(reader, bytes, 1);
  return {outcome_of([] { return ProxyHeaderReader(); }, bytes), reader.connection()};
}

// `header` is one, and the stream behind it stays where it is.
std::optional<ProxiedConnection> accepted(const Header& header) {
  for (const Header& behind : {Header{}, line_of("GET / HTTP/1.1\r\n"), header}) {
    const Read one = read(header + behind);
    EXPECT_EQ(one.outcome.next, Step::Next::done) << ::testing::PrintToString(header);
    EXPECT_EQ(one.outcome.consumed, header.size()) << ::testing::PrintToString(header);
  }
  return read(header).connection;
}

// `header` is refused with its last byte, and not before.
void expect_refused_at_the_last_byte(const Header& header) {
  EXPECT_EQ(read(header).outcome.next, Step::Next::refused) << ::testing::PrintToString(header);
  EXPECT_EQ(read(header).outcome.refusal.kind, Refusal::Kind::protocol_error);
  EXPECT_EQ(read(Header(header.begin(), header.end() - 1)).outcome.next, Step::Next::receive)
      << ::testing::PrintToString(header);
}

TEST(ProxyHeaderV1, OfTheSpecificationIsRead) {  // section 2.1
  EXPECT_EQ(accepted(line_of("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n")),
            between("192.168.0.1", "192.168.0.11"));
  EXPECT_TRUE(accepted(line_of("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n")));
  EXPECT_TRUE(
      accepted(line_of("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n")));
  EXPECT_FALSE(accepted(line_of("PROXY UNKNOWN\r\n")));
  const Header longest = line_of(
      "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n");
  EXPECT_EQ(longest.size(), ProxyHeaderReader::v1_limit);
  EXPECT_FALSE(accepted(longest));
}

TEST(ProxyHeaderV1, IsReadInEveryFormOfAnAddress) {
  EXPECT_EQ(accepted(line_of("PROXY TCP6 2001:DB8::1 2001:db8:0:0:0:0:0:2 56324 443\r\n")),
            between("2001:db8::1", "2001:db8::2"));
  EXPECT_EQ(accepted(line_of("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c000:202 56324 443\r\n")),
            between("192.0.2.1", "192.0.2.2"));
  EXPECT_EQ(accepted(line_of("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n")), ProxiedConnection());
  EXPECT_FALSE(accepted(line_of("PROXY UNKNOWN \r\n")));
  EXPECT_FALSE(accepted(line_of("PROXY UNKNOWN what ever\x01\r\n")));
}

TEST(ProxyHeaderV1, IsRefusedAtTheFirstByteThatCannotBe) {
  for (std::string_view line : {"G",
                                "PROXY\t",
                                "PROXY  ",
                                "PROXY T4",
                                "PROXY TCP5",
                                "PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r",
                                "PROXY UNKNOWNX",
                                "PROXY TCP4 a",
                                "PROXY TCP4 :",
                                "PROXY TCP6 g",
                                "PROXY TCP6 %",
                                "PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n",
                                "PROXY TCP4 1.2.3.4 1.2.3.4 1 1\rx",
                                "PROXY UNKNOWN\n",
                                "PROXY UNKNOWN\rx",
                                "PROXY UNKNOWN a\rb",
                                "PROXY\r",
                                "PROXY TCP4\r",
                                "PROXY TCP4 1.2.3.4 1.2.3.4 1\r",
                                "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r",
                                "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r",
                                "PROXY TCP4 1.2.3.4 1.2.3.4  1 1\r",
                                "PROXY TCP4 1.2.3.4 1.2.3.4 1 \r",
                                "PROXY TCP4 1.2.3 1.2.3.4 1 1\r",
                                "PROXY TCP4 1.2.3.256 1.2.3.4 1 1\r",
                                "PROXY TCP4 01.2.3.4 1.2.3.4 1 1\r",
                                "PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r",
                                "PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r",
                                "PROXY TCP4 1.2.3.4 1.2.3.4 00 1\r",
                                "PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r",
                                "PROXY TCP6 ::1 1.2.3.4 1 1\r",
                                "PROXY TCP6 ::1::2 ::1 1 1\r",
                                "PROXY TCP6 ::1 ::1 f 1\r",
                                "PROXY TCP4 1.2.3.4 1.2.3.4 1. 1\r"})
    expect_refused_at_the_last_byte(line_of(line));
}

TEST(ProxyHeaderV1, IsRefusedWhereItIsTooLong) {
  const Header start = line_of("PROXY UNKNOWN ");
  expect_refused_at_the_last_byte(start + Header(ProxyHeaderReader::v1_limit - start.size(), 'x'));
  EXPECT_FALSE(accepted(start + Header(ProxyHeaderReader::v1_limit - start.size() - 2, 'x') + line_of("\r\n")));
  EXPECT_EQ(read(start + Header(ProxyHeaderReader::v1_limit - start.size() - 1, 'x') + line_of("\r\n")).outcome.next,
            Step::Next::refused);
}

TEST(ProxyHeaderV1, IsWrittenAsInTheSpecification) {
  EXPECT_EQ(proxy_header_v1(between("192.168.0.1", "192.168.0.11")),
            line_of("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"));
  EXPECT_EQ(proxy_header_v1(between("2001:db8::1", "2001:db8::2")),
            line_of("PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n"));
}

TEST(ProxyHeaderV1, MapsIpv4WhereTheOtherEndIsIpv6) {
  // In groups of hexadecimal digits: version 1 knows no dotted end.
  EXPECT_EQ(proxy_header_v1(between("192.0.2.1", "2001:db8::2")),
            line_of("PROXY TCP6 0:0:0:0:0:ffff:c000:201 2001:db8::2 56324 443\r\n"));
}

TEST(ProxyHeaderV2, WithAddressesIsRead) {
  EXPECT_EQ(accepted(v2(0x21, 0x11, block4)), between("192.168.0.1", "192.168.0.11"));
  const Address client = *Address::parse("2001:db8::1"), destination = *Address::parse("2001:db8::2");
  const Header block6 = Header(client.bytes(), client.bytes() + 16) +
                        Header(destination.bytes(), destination.bytes() + 16) + Header{0xdc, 0x04, 1, 0xbb};
  EXPECT_EQ(accepted(v2(0x21, 0x21, block6)), between("2001:db8::1", "2001:db8::2"));
}

TEST(ProxyHeaderV2, SkipsWhatElseIsSaid) {
  const Header tlvs = Header{0x02, 0, 1, 'a'} + Header{0x04, 0, 0} + Header{0x20, 1, 0} + Header(256, 0xff);
  EXPECT_EQ(accepted(v2(0x21, 0x11, block4 + tlvs)), between("192.168.0.1", "192.168.0.11"));
}

TEST(ProxyHeaderV2, OfTheLoadBalancersOwnOrOfNoTcpTellsNothing) {
  for (const Header& header :
       {v2(0x20, 0x00, {}), v2(0x20, 0x11, block4), v2(0x20, 0xff, {1, 2, 3}), v2(0x21, 0x00, {}),
        v2(0x21, 0x00, {1, 2, 3}), v2(0x21, 0x10, {}), v2(0x21, 0x01, {}), v2(0x21, 0x12, block4),
        v2(0x21, 0x31, Header(216, 'x')), v2(0x21, 0x32, Header(216, 'x') + Header{4, 0, 1, 0})})
    EXPECT_FALSE(accepted(header));
}

TEST(ProxyHeaderV2, IsRefusedAtTheFirstByteThatCannotBe) {
  for (std::size_t at = 0; at < signature.size(); ++at) {
    Header wrong(signature.begin(), signature.begin() + static_cast<long>(at) + 1);
    wrong.back() ^= 1;
    expect_refused_at_the_last_byte(wrong);
  }
  for (const Header& rest :
       {Header{0x11}, Header{0x22}, Header{0x2f}, Header{0x31}, Header{0x00}, Header{0x21, 0x13}, Header{0x21, 0x41},
        Header{0x21, 0xff}, Header{0x21, 0x11, 0, 11}, Header{0x21, 0x21, 0, 35}, Header{0x21, 0x31, 0, 215},
        Header{0x21, 0x11, 0x0f, 0xf1}, Header{0x20, 0x00, 0xff, 0xff}})
    expect_refused_at_the_last_byte(signature + rest);
}

TEST(ProxyHeaderV2, IsRefusedForAMalformedTlv) {
  for (const Header& tlvs :
       {Header{4}, Header{4, 0}, Header{4, 0, 1}, Header{4, 0, 0, 4}, Header{4, 0, 2, 1}, Header{4, 0xff, 0xff, 0, 0}})
    expect_refused_at_the_last_byte(v2(0x21, 0x11, block4 + tlvs));
}

TEST(ProxyHeaderV2, IsReadUpToItsLimit) {
  const std::size_t value = ProxyHeaderReader::v2_limit - 16 - block4.size() - 3;
  const Header tlv = {4, static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value & 0xff)};
  EXPECT_TRUE(accepted(v2(0x21, 0x11, block4 + tlv + Header(value, 0))));
}

TEST(ProxyHeaderV2, IsWrittenAsInTheSpecification) {
  EXPECT_EQ(proxy_header_v2(between("192.168.0.1", "192.168.0.11")), v2(0x21, 0x11, block4));
  EXPECT_EQ(proxy_header_v2(between("192.168.0.1", "192.168.0.11"), {.authority = "a.example", .unique_id = "id"}),
            v2(0x21, 0x11, block4 + Header{2, 0, 9} + line_of("a.example") + Header{5, 0, 2} + line_of("id")));
  EXPECT_EQ(
      proxy_header_v2(between("192.168.0.1", "192.168.0.11"), {.authority = std::string(256, 'a'), .unique_id = {}}),
      v2(0x21, 0x11, block4));
}

TEST(ProxyHeader, OfEitherVersionIsReadAsItWasWritten) {
  for (const ProxiedConnection& connection :
       {between("192.168.0.1", "192.168.0.11"), between("2001:db8::1", "2001:db8::2"),
        between("192.0.2.1", "2001:db8::2"), between("2001:db8::1", "192.0.2.2"), between("::1.2.3.4", "::1"),
        between("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), ProxiedConnection()}) {
    EXPECT_EQ(accepted(proxy_header_v1(connection)), connection);
    EXPECT_EQ(accepted(proxy_header_v2(connection)), connection);
    EXPECT_EQ(accepted(proxy_header_v2(connection, {.authority = "a.example", .unique_id = std::string(128, 'i')})),
              connection);
  }
}

TEST(ProxyHeader, IsNotWhatOtherProtocolsBeginWith) {
  for (std::string_view line : {"GET / HTTP/1.1\r\n\r\n", "SSH-2.0-OpenSSH\r\n", "\x16\x03\x01\x02\x00\x01", "POST / ",
                                "\r\n\r\nG", "EHLO a\r\n", "PRI * HTTP/2.0\r\n"})
    EXPECT_EQ(read(line_of(line)).outcome.next, Step::Next::refused) << line;
}

}  // namespace
}  // namespace limpid
