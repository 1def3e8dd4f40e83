// SPDX-License-Identifier: MIT
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <span>

#include "base/check.h"

namespace limpid {
namespace {

constexpr std::array<std::uint8_t, 12> mapped_prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255};  // RFC 4291, 2.5.5.2

// The whole of `text` as a number in `base`, or nothing.
template <class Number>
bool parse_number(std::string_view text, Number& number, int base = 10) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse_bits(std::string_view text, std::uint32_t& bits) {
  if (text.starts_with("0x") || text.starts_with("0X")) return parse_number(text.substr(2), bits, 16);
  return parse_number(text, bits);
}

}  // namespace

std::string_view family_name(int family) { return family == AF_INET ? "IPv4" : "IPv6"; }

Address Address::any(int family) {
  Address address;
  address.family_ = family;
  return address;
}

Address Address::loopback(int family) {
  Address address = any(family);
  if (family == AF_INET) address.bytes_[0] = 127;
  address.bytes_[family == AF_INET ? 3 : 15] = 1;
  return address;
}

Address Address::from_bytes(int family, const void* network_order) {
  Address address = any(family);
  std::memcpy(address.bytes_.data(), network_order, static_cast<std::size_t>(address.bits() / 8));
  return address;
}

Result<Address> Address::parse(std::string_view text) {
  Address address = any(text.find(':') == std::string_view::npos ? AF_INET : AF_INET6);
  const bool has_nul = text.find('\0') != std::string_view::npos;  // where inet_pton(3) would stop reading
  if (has_nul || inet_pton(address.family_, std::string(text).c_str(), address.bytes_.data()) != 1)
    return failure(fmt::format("\"{}\" is not an IPv4 or IPv6 address", text));
  return address;
}

bool Address::is_any() const {
  return std::ranges::all_of(bytes_, [](std::uint8_t byte) { return byte == 0; });
}

bool Address::is_loopback() const { return family_ == AF_INET ? bytes_[0] == 127 : *this == loopback(AF_INET6); }

Address Address::mapped() const {
  if (family_ == AF_INET6) return *this;
  std::array<std::uint8_t, 16> bytes;
  std::ranges::copy(mapped_prefix, bytes.begin());
  std::copy_n(bytes_.begin(), 4, bytes.begin() + mapped_prefix.size());
  return from_bytes(AF_INET6, bytes.data());
}

Address Address::unmapped() const {
  if (family_ == AF_INET || !std::ranges::equal(mapped_prefix, std::span(bytes_).first(mapped_prefix.size())))
    return *this;
  return from_bytes(AF_INET, bytes_.data() + mapped_prefix.size());
}

std::string Address::text() const {
  char buffer[INET6_ADDRSTRLEN];
  CHECK(inet_ntop(family_, bytes_.data(), buffer, sizeof buffer) != nullptr);
  return buffer;
}

Endpoint Endpoint::from_sockaddr(const sockaddr_storage& storage) {
  CHECK(storage.ss_family == AF_INET || storage.ss_family == AF_INET6);
  if (storage.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(storage);
    return {Address::from_bytes(AF_INET, &in.sin_addr), ntohs(in.sin_port)};
  }
  const auto& in6 = reinterpret_cast<const sockaddr_in6&>(storage);
  return {Address::from_bytes(AF_INET6, &in6.sin6_addr), ntohs(in6.sin6_port)};
}

socklen_t Endpoint::to_sockaddr(sockaddr_storage& storage) const {
  if (family() == AF_INET) {
    auto& in = reinterpret_cast<sockaddr_in&>(storage);
    in = {};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, address.bytes(), sizeof in.sin_addr);
    return sizeof in;
  }
  auto& in6 = reinterpret_cast<sockaddr_in6&>(storage);
  in6 = {};
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(port);
  std::memcpy(&in6.sin6_addr, address.bytes(), sizeof in6.sin6_addr);
  return sizeof in6;
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const bool in_brackets = text.starts_with('[');
  const std::size_t colon = text.rfind(':');
  const std::string_view host = text.substr(0, std::min(colon, text.size()));
  Endpoint endpoint;
  const bool has_port =
      colon != std::string_view::npos && parse_number(text.substr(colon + 1), endpoint.port) && endpoint.port != 0;
  const Result<Address> address =
      Address::parse(in_brackets && host.ends_with(']') ? host.substr(1, host.size() - 2) : host);
  if (!has_port || !address || (address->family() == AF_INET6) != in_brackets)
    return failure(fmt::format("\"{}\" is not an address with a port like 192.0.2.1:80 or [2001:db8::1]:80", text));
  endpoint.address = *address;
  return endpoint;
}

std::string Endpoint::text() const {
  return family() == AF_INET ? fmt::format("{}:{}", address.text(), port)
                             : fmt::format("[{}]:{}", address.text(), port);
}

Result<Prefix> Prefix::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  Result<Address> address = Address::parse(text.substr(0, slash));
  if (!address) return std::unexpected(address.error());
  Prefix prefix{*address, address->bits()};
  if (slash == std::string_view::npos) return prefix;
  if (!parse_number(text.substr(slash + 1), prefix.length) || prefix.length < 0 || prefix.length > address->bits())
    return failure(fmt::format("\"{}\": the prefix length is a number from 0 to {}", text, address->bits()));
  for (int bit = prefix.length; bit < address->bits(); ++bit)
    if (address->bytes()[bit / 8] >> (7 - bit % 8) & 1)
      return failure(fmt::format("\"{}\" has bits set beyond its length of {}", text, prefix.length));
  return prefix;
}

bool Prefix::contains(const Address& other) const {
  if (other.family() != address.family()) return false;
  for (int bit = 0; bit < length; ++bit)
    if ((address.bytes()[bit / 8] ^ other.bytes()[bit / 8]) >> (7 - bit % 8) & 1) return false;
  return true;
}

std::string Prefix::text() const { return fmt::format("{}/{}", address.text(), length); }

Result<PortRange> PortRange::parse(std::string_view text) {
  const std::size_t dash = text.find('-');
  PortRange range;
  const bool first_ok = parse_number(text.substr(0, dash), range.first);
  const bool last_ok = dash == std::string_view::npos ? (range.last = range.first, true)
                                                      : parse_number(text.substr(dash + 1), range.last);
  if (!first_ok || !last_ok || range.first == 0 || range.first > range.last)
    return failure(fmt::format("\"{}\" is not a port (1 to 65535) or a range of ports like \"8000-8999\"", text));
  return range;
}

std::string PortRange::text() const {
  return first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last);
}

Result<Mark> Mark::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  Mark mark;
  const bool bits_ok = parse_bits(text.substr(0, slash), mark.bits);
  const bool mask_ok =
      slash == std::string_view::npos ? (mark.mask = mark.bits, true) : parse_bits(text.substr(slash + 1), mark.mask);
  if (!bits_ok || !mask_ok) return failure(fmt::format("\"{}\" is not a mark like \"0x10000000/0x10000000\"", text));
  if (mark.bits == 0) return failure(fmt::format("\"{}\": a mark of zero marks nothing", text));
  if ((mark.bits & ~mark.mask) != 0) return failure(fmt::format("\"{}\": the mark has bits outside its mask", text));
  return mark;
}

std::string Mark::text() const { return fmt::format("0x{:08x}/0x{:08x}", bits, mask); }

}  // namespace limpid
