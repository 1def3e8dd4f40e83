// SPDX-License-Identifier: MIT
#include "net/packet.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#include <algorithm>
#include <cstring>

namespace limpid {
namespace {

// The Internet checksum (RFC 1071), in whatever byte order the words have: the sum commutes with swapping.
class Checksum {
 public:
  void add(std::span<const char> bytes) {
    while (bytes.size() >= 8) {
      std::uint64_t word;
      std::memcpy(&word, bytes.data(), sizeof word);
      add_word(word);
      bytes = bytes.subspan(8);
    }
    std::uint64_t rest = 0;
    std::memcpy(&rest, bytes.data(), bytes.size());
    add_word(rest);
  }
  void add_word(std::uint64_t word) {
    sum_ += word;
    sum_ += sum_ < word ? 1 : 0;
  }
  [[nodiscard]] std::uint16_t value() const {
    std::uint64_t sum = (sum_ >> 32) + (sum_ & 0xffff'ffff);
    while (sum > 0xffff) sum = (sum >> 16) + (sum & 0xffff);
    return static_cast<std::uint16_t>(~sum);
  }

 private:
  std::uint64_t sum_ = 0;
};

std::span<const char> bytes_of(const Address& address) {
  return {reinterpret_cast<const char*>(address.bytes()), static_cast<std::size_t>(address.bits() / 8)};
}

// RFC 768, RFC 8200 section 8.1: both ends, the length and the protocol.
void add_pseudo_header(Checksum& sum, const Address& source, const Address& destination, std::size_t length,
                       std::uint8_t protocol) {
  sum.add(bytes_of(source));
  sum.add(bytes_of(destination));
  sum.add_word(htonl(static_cast<std::uint32_t>(length)));
  sum.add_word(htonl(protocol));
}

template <class Header>
void put(char* at, const Header& header) {
  std::memcpy(at, &header, sizeof header);
}

struct IpFields {
  std::uint8_t protocol;
  std::uint8_t hops;
  std::uint8_t traffic_class;
  bool dont_fragment;
  std::size_t payload;
};

void write_ip_header(char* at, const Address& source, const Address& destination, const IpFields& fields) {
  if (source.family() == AF_INET) {
    ip header{};
    header.ip_v = 4;
    header.ip_hl = 5;
    header.ip_tos = fields.traffic_class;
    header.ip_len = htons(static_cast<std::uint16_t>(sizeof header + fields.payload));
    header.ip_off = htons(fields.dont_fragment ? IP_DF : 0);
    header.ip_ttl = fields.hops;
    header.ip_p = fields.protocol;
    std::memcpy(&header.ip_src, source.bytes(), sizeof header.ip_src);
    std::memcpy(&header.ip_dst, destination.bytes(), sizeof header.ip_dst);
    return put(at, header);
  }
  ip6_hdr header{};
  header.ip6_flow = htonl(6U << 28 | static_cast<std::uint32_t>(fields.traffic_class) << 20);
  header.ip6_plen = htons(static_cast<std::uint16_t>(fields.payload));
  header.ip6_nxt = fields.protocol;
  header.ip6_hlim = fields.hops;
  std::memcpy(&header.ip6_src, source.bytes(), sizeof header.ip6_src);
  std::memcpy(&header.ip6_dst, destination.bytes(), sizeof header.ip6_dst);
  put(at, header);
}

// Type and code of an error in its family's words, and where the MTU stands (RFC 792, RFC 1191, RFC 4443).
std::uint8_t unreachable_code(int family, IcmpError error) {
  switch (error) {
    case IcmpError::too_big:
      return family == AF_INET ? ICMP_FRAG_NEEDED : 0;  // IPv6 has a type of its own for it
    case IcmpError::no_route:
      return family == AF_INET ? ICMP_NET_UNREACH : ICMP6_DST_UNREACH_NOROUTE;
    case IcmpError::host_unreachable:
      return family == AF_INET ? ICMP_HOST_UNREACH : ICMP6_DST_UNREACH_ADDR;
    case IcmpError::prohibited:
      return family == AF_INET ? ICMP_PKT_FILTERED : ICMP6_DST_UNREACH_ADMIN;
  }
  return 0;
}

void write_icmp_header(char* at, int family, IcmpError error, std::uint32_t mtu) {
  if (family == AF_INET) {
    icmphdr header{};
    header.type = ICMP_DEST_UNREACH;
    header.code = unreachable_code(family, error);
    if (error == IcmpError::too_big) header.un.frag.mtu = htons(static_cast<std::uint16_t>(std::min(mtu, 0xffffU)));
    return put(at, header);
  }
  icmp6_hdr header{};
  header.icmp6_type = error == IcmpError::too_big ? ICMP6_PACKET_TOO_BIG : ICMP6_DST_UNREACH;
  header.icmp6_code = unreachable_code(family, error);
  if (error == IcmpError::too_big) header.icmp6_mtu = htonl(mtu);
  put(at, header);
}

// On the wire somebody has filled it in.
void put_ipv4_checksum(std::span<char> header) {
  Checksum sum;
  sum.add(header.first(ip_header_size(AF_INET)));
  const std::uint16_t value = sum.value();
  std::memcpy(header.data() + offsetof(ip, ip_sum), &value, sizeof value);
}

}  // namespace

void write_udp_header(std::span<char, udp_header_size> bytes, const Datagram& datagram) {
  const std::size_t length = udp_header_size + datagram.payload.size();
  udphdr header{};
  header.source = htons(datagram.source.port);
  header.dest = htons(datagram.destination.port);
  header.len = htons(static_cast<std::uint16_t>(length));
  Checksum sum;
  add_pseudo_header(sum, datagram.source.address, datagram.destination.address, length, IPPROTO_UDP);
  sum.add({reinterpret_cast<const char*>(&header), sizeof header});
  sum.add(datagram.payload);
  header.check = sum.value() == 0 ? 0xffff : sum.value();  // 0 would mean "none"
  put(bytes.data(), header);
}

std::size_t write_headers(HeaderBytes& bytes, const Datagram& datagram) {
  const std::size_t ip_size = ip_header_size(datagram.source.family());
  write_ip_header(bytes.data(), datagram.source.address, datagram.destination.address,
                  {.protocol = IPPROTO_UDP,
                   .hops = datagram.hops,
                   .traffic_class = datagram.traffic_class,
                   .dont_fragment = !datagram.may_be_fragmented,
                   .payload = udp_header_size + datagram.payload.size()});
  write_udp_header(std::span<char, udp_header_size>(bytes.data() + ip_size, udp_header_size), datagram);
  return ip_size + udp_header_size;
}

std::vector<char> syn_packet(const Endpoint& client, const Endpoint& destination) {
  const std::size_t ip_size = ip_header_size(client.family());
  tcphdr header{};
  std::vector<char> packet(ip_size + sizeof header);
  write_ip_header(
      packet.data(), client.address, destination.address,
      {.protocol = IPPROTO_TCP, .hops = 64, .traffic_class = 0, .dont_fragment = true, .payload = sizeof header});
  if (client.family() == AF_INET) put_ipv4_checksum(packet);
  header.source = htons(client.port);
  header.dest = htons(destination.port);
  header.seq = htonl(1);
  header.doff = sizeof header / 4;
  header.syn = 1;
  header.window = 0xffff;
  Checksum sum;
  add_pseudo_header(sum, client.address, destination.address, sizeof header, IPPROTO_TCP);
  sum.add({reinterpret_cast<const char*>(&header), sizeof header});
  header.check = sum.value();
  put(packet.data() + ip_size, header);
  return packet;
}

std::vector<char> datagram_packet(const Datagram& datagram) {
  HeaderBytes headers;
  const std::size_t size = write_headers(headers, datagram);
  if (datagram.source.family() == AF_INET) put_ipv4_checksum(headers);
  std::vector<char> packet(headers.begin(), headers.begin() + static_cast<long>(size));
  packet.insert(packet.end(), datagram.payload.begin(), datagram.payload.end());
  return packet;
}

std::vector<char> icmp_error(IcmpError error, const Address& from, const Datagram& about, std::uint32_t mtu) {
  constexpr std::size_t icmp_header_size = 8;
  // An IPv4 router quotes 8 bytes behind the header at the least (RFC 792), an IPv6 one as much as fits 1,280 bytes.
  constexpr std::size_t most_quoted = 512;
  const int family = from.family();
  HeaderBytes quoted_headers;
  const std::size_t headers = write_headers(quoted_headers, about);
  const std::size_t payload = std::min(about.payload.size(), most_quoted);
  if (family == AF_INET) put_ipv4_checksum(quoted_headers);

  const std::size_t ip_size = ip_header_size(family);
  std::vector<char> packet(ip_size + icmp_header_size + headers + payload);
  const std::span<char> icmp = std::span(packet).subspan(ip_size);
  const std::uint8_t protocol = family == AF_INET ? std::uint8_t{IPPROTO_ICMP} : std::uint8_t{IPPROTO_ICMPV6};
  write_ip_header(
      packet.data(), from, about.source.address,
      {.protocol = protocol, .hops = 64, .traffic_class = 0, .dont_fragment = false, .payload = icmp.size()});
  write_icmp_header(icmp.data(), family, error, mtu);
  std::ranges::copy(std::span(quoted_headers).first(headers), icmp.begin() + icmp_header_size);
  std::ranges::copy(about.payload.first(payload), icmp.begin() + static_cast<long>(icmp_header_size + headers));

  Checksum sum;
  if (family == AF_INET6) add_pseudo_header(sum, from, about.source.address, icmp.size(), protocol);
  sum.add(icmp);
  const std::uint16_t value = sum.value();
  std::memcpy(icmp.data() + offsetof(icmphdr, checksum), &value, sizeof value);
  return packet;
}

}  // namespace limpid
