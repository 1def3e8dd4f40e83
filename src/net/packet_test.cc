// SPDX-License-Identifier: MIT
// Headers against packets whose bytes are known, and checksums by the rule that a packet with its own sums up to
// 0xffff.
#include "net/packet.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

namespace limpid {
namespace {

std::uint16_t sum_of(std::string_view bytes) {  // RFC 1071, the plain way
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    sum += static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) << (i % 2 == 0 ? 8 : 0);
  while (sum > 0xffff) sum = (sum >> 16) + (sum & 0xffff);
  return static_cast<std::uint16_t>(sum);
}

std::string address_bytes(const Address& address) {
  return {reinterpret_cast<const char*>(address.bytes()), static_cast<std::size_t>(address.bits() / 8)};
}

std::string pseudo_header(const Address& source, const Address& destination, std::size_t length, char protocol) {
  return address_bytes(source) + address_bytes(destination) + std::string(2, '\0') + static_cast<char>(length >> 8) +
         static_cast<char>(length & 0xff) + std::string(3, '\0') + protocol;
}

struct Case {
  Datagram datagram;
  std::string payload;

  Case(const char* source, const char* destination, std::string bytes) : payload(std::move(bytes)) {
    datagram.source = {*Address::parse(source), 5000};
    datagram.destination = {*Address::parse(destination), 53};
    datagram.payload = payload;
    datagram.hops = 63;
    datagram.traffic_class = 0xb9;
  }
};

TEST(Headers, OfIpv4AreTheseBytes) {
  Case one("10.1.0.2", "203.0.113.9", "hello");
  HeaderBytes bytes;
  const std::size_t size = write_headers(bytes, one.datagram);
  ASSERT_EQ(size, 28U);
  const unsigned char expected[] = {0x45, 0xb9, 0, 33,  0, 0,   0x40, 0,    63,   17, 0,  0, 10,
                                    1,    0,    2, 203, 0, 113, 9,    0x13, 0x88, 0,  53, 0, 13};
  EXPECT_EQ(std::memcmp(bytes.data(), expected, sizeof expected), 0);
  one.datagram.may_be_fragmented = true;
  write_headers(bytes, one.datagram);
  EXPECT_EQ(bytes[6], 0);
}

TEST(Headers, OfIpv6AreTheseBytes) {
  const Case one("2001:db8::2", "2001:db8::9", "hello");
  HeaderBytes bytes;
  ASSERT_EQ(write_headers(bytes, one.datagram), 48U);
  const unsigned char expected[] = {0x6b, 0x90, 0, 0, 0, 13, 17, 63, 0x20, 0x01, 0x0d, 0xb8};
  EXPECT_EQ(std::memcmp(bytes.data(), expected, sizeof expected), 0);
  EXPECT_EQ(std::string(bytes.data() + 8, 16), address_bytes(one.datagram.source.address));
  EXPECT_EQ(std::string(bytes.data() + 24, 16), address_bytes(one.datagram.destination.address));
}

TEST(Headers, HaveARightChecksumWhateverThePayload) {
  for (const auto& [source, destination] :
       {std::pair{"10.1.0.2", "203.0.113.9"}, {"2001:db8::2", "2001:db8:ffff::9"}}) {
    for (std::size_t size = 0; size < 70; ++size) {
      std::string payload;
      for (std::size_t i = 0; i < size; ++i) payload += static_cast<char>(i * 37 + size);
      const Case one(source, destination, payload);
      HeaderBytes bytes;
      const std::size_t headers = write_headers(bytes, one.datagram);
      const std::string udp(bytes.data() + headers - udp_header_size, udp_header_size);
      std::string whole = pseudo_header(one.datagram.source.address, one.datagram.destination.address,
                                        udp_header_size + size, IPPROTO_UDP);
      whole += udp;
      whole += payload;
      EXPECT_EQ(sum_of(whole), 0xffff) << destination << ", " << size << " bytes";
    }
  }
}

TEST(Headers, NeverSayThatThereIsNoChecksum) {
  // Two bytes that make the sum 0xffff, of which the complement would be 0: "none" (RFC 768).
  Case one("0.0.0.0", "0.0.0.0", std::string(2, '\0'));
  one.datagram.source.port = one.datagram.destination.port = 0;
  const std::uint16_t rest = static_cast<std::uint16_t>(0xffff - (17 + 10 + 10));
  one.payload = {static_cast<char>(rest >> 8), static_cast<char>(rest & 0xff)};
  one.datagram.payload = one.payload;
  HeaderBytes bytes;
  write_headers(bytes, one.datagram);
  EXPECT_EQ(static_cast<unsigned char>(bytes[26]), 0xff);
  EXPECT_EQ(static_cast<unsigned char>(bytes[27]), 0xff);
}

TEST(IcmpError, QuotesTheDatagramAndTellsTheMtuInIpv4) {
  const Case one("10.1.0.2", "203.0.113.9", std::string(1400, 'x'));
  const Address gateway = *Address::parse("10.1.0.1");
  const std::vector<char> packet = icmp_error(IcmpError::too_big, gateway, one.datagram, 1280);
  const std::string icmp(packet.begin() + 20, packet.end());
  EXPECT_EQ(std::string(packet.begin() + 12, packet.begin() + 16), address_bytes(gateway));
  EXPECT_EQ(std::string(packet.begin() + 16, packet.begin() + 20), address_bytes(one.datagram.source.address));
  EXPECT_EQ(packet[9], IPPROTO_ICMP);
  EXPECT_EQ(icmp.substr(0, 2), std::string("\x03\x04", 2));
  EXPECT_EQ(icmp.substr(6, 2), std::string("\x05\x00", 2));
  EXPECT_EQ(sum_of(icmp), 0xffff);
  const std::string quoted = icmp.substr(8);
  EXPECT_EQ(sum_of(quoted.substr(0, 20)), 0xffff);  // its own header's checksum
  EXPECT_EQ(quoted.substr(12, 4), address_bytes(one.datagram.source.address));
  EXPECT_EQ(quoted.substr(20, 4), std::string("\x13\x88\x00\x35", 4));
}

TEST(IcmpError, QuotesTheDatagramAndTellsTheMtuInIpv6) {
  const Case one("2001:db8::2", "2001:db8::9", std::string(1400, 'x'));
  const Address gateway = *Address::parse("2001:db8::1");
  const std::vector<char> packet = icmp_error(IcmpError::too_big, gateway, one.datagram, 1280);
  const std::string icmp(packet.begin() + 40, packet.end());
  EXPECT_EQ(packet[6], IPPROTO_ICMPV6);
  EXPECT_EQ(icmp.substr(0, 2), std::string("\x02\x00", 2));
  EXPECT_EQ(icmp.substr(4, 4), std::string("\x00\x00\x05\x00", 4));
  EXPECT_EQ(sum_of(pseudo_header(gateway, one.datagram.source.address, icmp.size(), IPPROTO_ICMPV6) + icmp), 0xffff);
  EXPECT_LE(packet.size(), 1280U);  // RFC 4443, 2.4 (c)
}

TEST(IcmpError, TellsNoRouteFromNoHost) {
  const Case four("10.1.0.2", "203.0.113.9", "x"), six("2001:db8::2", "2001:db8::9", "x");
  const Address gateway4 = *Address::parse("10.1.0.1"), gateway6 = *Address::parse("2001:db8::1");
  const auto type_and_code = [](const std::vector<char>& packet, long at) {
    return std::string(packet.begin() + at, packet.begin() + at + 2);
  };
  EXPECT_EQ(type_and_code(icmp_error(IcmpError::no_route, gateway4, four.datagram, 0), 20), std::string("\x03\x00", 2));
  EXPECT_EQ(type_and_code(icmp_error(IcmpError::host_unreachable, gateway4, four.datagram, 0), 20),
            std::string("\x03\x01", 2));
  EXPECT_EQ(type_and_code(icmp_error(IcmpError::no_route, gateway6, six.datagram, 0), 40), std::string("\x01\x00", 2));
  EXPECT_EQ(type_and_code(icmp_error(IcmpError::host_unreachable, gateway6, six.datagram, 0), 40),
            std::string("\x01\x03", 2));
}

TEST(Packet, ThatOpensAConnectionIsWholeInBothFamilies) {
  for (const auto& [client, destination] :
       {std::pair("10.1.0.2", "203.0.113.9"), std::pair("2001:db8::2", "2001:db8:1::9")}) {
    const Endpoint from{*Address::parse(client), 5000}, to{*Address::parse(destination), 443};
    const std::vector<char> packet = syn_packet(from, to);
    const std::size_t ip_size = ip_header_size(from.family());
    ASSERT_EQ(packet.size(), ip_size + 20);
    const std::string bytes(packet.begin(), packet.end());
    const std::string segment = bytes.substr(ip_size);
    EXPECT_EQ(sum_of(pseudo_header(from.address, to.address, 20, IPPROTO_TCP) + segment), 0xffff);
    EXPECT_TRUE(from.family() != AF_INET || sum_of(bytes.substr(0, ip_size)) == 0xffff);
    EXPECT_EQ(segment.substr(0, 4), std::string("\x13\x88\x01\xbb", 4));
    EXPECT_EQ(segment[13], 0x02) << "SYN alone";
  }
}

TEST(Packet, OfADatagramHasItsHeadersAndItsPayload) {
  const Case one("10.1.0.2", "192.0.2.9", "question");
  const std::vector<char> packet = datagram_packet(one.datagram);
  const std::string bytes(packet.begin(), packet.end());
  EXPECT_EQ(sum_of(bytes.substr(0, 20)), 0xffff);
  EXPECT_EQ(bytes.substr(28), "question");
}

}  // namespace
}  // namespace limpid
