// SPDX-License-Identifier: MIT
// Addresses of both families in one type, and the small values of packet steering: prefixes, port ranges, marks.
// Network byte order stays inside.
#pragma once
#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace limpid {

// "tcp4" / "tcp6" and the like: a family for people.
[[nodiscard]] std::string_view family_name(int family);

class Address {
 public:
  Address() = default;  // 0.0.0.0
  static Address any(int family);
  static Address loopback(int family);
  static Address from_bytes(int family, const void* network_order);  // 4 or 16 bytes
  // Literal addresses only, never a name (inet_pton(3)). An IPv4-mapped IPv6 address stays IPv6.
  static Result<Address> parse(std::string_view text);

  [[nodiscard]] int family() const { return family_; }  // AF_INET or AF_INET6
  [[nodiscard]] int bits() const { return family_ == AF_INET ? 32 : 128; }
  [[nodiscard]] const std::uint8_t* bytes() const { return bytes_.data(); }  // network order, bits() / 8 of them
  [[nodiscard]] bool is_any() const;
  [[nodiscard]] bool is_loopback() const;  // 127.0.0.0/8, ::1
  // IPv4-mapped (RFC 4291, 2.5.5.2), and back; what there is nothing to do about comes back as it is.
  [[nodiscard]] Address mapped() const;
  [[nodiscard]] Address unmapped() const;
  [[nodiscard]] std::string text() const;
  auto operator<=>(const Address&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
  int family_ = AF_INET;
};

struct Endpoint {
  Address address;
  std::uint16_t port = 0;  // host order

  // "192.0.2.1:80", "[2001:db8::1]:80": literal addresses only, ports from 1.
  static Result<Endpoint> parse(std::string_view text);
  static Endpoint from_sockaddr(const sockaddr_storage& storage);  // CHECKs the family
  // Fills `storage` and returns the length to hand to bind(2) and connect(2).
  socklen_t to_sockaddr(sockaddr_storage& storage) const;
  [[nodiscard]] int family() const { return address.family(); }
  [[nodiscard]] std::string text() const;  // 192.0.2.1:80, [2001:db8::1]:80
  auto operator<=>(const Endpoint&) const = default;
};

struct Prefix {
  Address address;  // bits below `length` are zero
  int length = 0;

  // "10.0.0.0/8", "2001:db8::/32", or a bare address (/32, /128). Set host bits are an error: a likely slip.
  static Result<Prefix> parse(std::string_view text);
  [[nodiscard]] bool contains(const Address& other) const;
  [[nodiscard]] std::string text() const;
  auto operator<=>(const Prefix&) const = default;
};

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;  // inclusive

  // "80" or "8000-8999", 1 to 65535.
  static Result<PortRange> parse(std::string_view text);
  static constexpr PortRange all() { return {1, 65535}; }
  [[nodiscard]] std::string text() const;
  auto operator<=>(const PortRange&) const = default;
};

// A packet mark and the bits of it that are meant: "0x10000000/0x10000000" (ip-rule(8), fwmark).
struct Mark {
  std::uint32_t bits = 0;
  std::uint32_t mask = 0;

  // Bits and mask in hexadecimal or decimal; the mask may be left out (then it equals the bits). Bits must not be zero
  // and must lie within the mask.
  static Result<Mark> parse(std::string_view text);
  [[nodiscard]] Mark with(Mark other) const { return {bits | other.bits, mask | other.mask}; }
  [[nodiscard]] std::string text() const;
  auto operator<=>(const Mark&) const = default;
};

}  // namespace limpid
