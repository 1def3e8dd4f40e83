// SPDX-License-Identifier: MIT
// IP, UDP and ICMP headers as bytes. Pure.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "net/datagram.h"

namespace limpid {

inline constexpr std::size_t udp_header_size = 8;  // RFC 768
[[nodiscard]] constexpr std::size_t ip_header_size(int family) { return family == AF_INET ? 20 : 40; }

using HeaderBytes = std::array<char, 48>;

// The IP and UDP headers of a datagram (RFC 791, RFC 8200, RFC 768), checksums included but for IPv4's own, which the
// kernel fills in with the length and the identification (raw(7)). Returns their length.
std::size_t write_headers(HeaderBytes& bytes, const Datagram& datagram);
// The UDP header alone.
void write_udp_header(std::span<char, udp_header_size> bytes, const Datagram& datagram);

// Whole packets as a wire carries them, IPv4's checksum in place: the first of a TCP connection, and a UDP datagram.
[[nodiscard]] std::vector<char> syn_packet(const Endpoint& client, const Endpoint& destination);
[[nodiscard]] std::vector<char> datagram_packet(const Datagram& datagram);

// ICMP errors about a datagram that could not be sent on, from `from` to the datagram's source (RFC 792, RFC 4443).
enum class IcmpError { too_big, no_route, host_unreachable, prohibited };
[[nodiscard]] std::vector<char> icmp_error(IcmpError error, const Address& from, const Datagram& about,
                                           std::uint32_t mtu);

}  // namespace limpid
