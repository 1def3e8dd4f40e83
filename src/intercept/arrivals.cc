// SPDX-License-Identifier: MIT
#include "intercept/arrivals.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

namespace limpid {
namespace {

Address address_of(const sockaddr* address) {
  sockaddr_storage storage{};
  std::memcpy(&storage, address, address->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  return Endpoint::from_sockaddr(storage).address;
}

// Another host's address in the network of this one; nothing if the network has room for nobody else.
std::optional<Address> neighbour(const Address& own, const Address& mask) {
  std::array<std::uint8_t, 16> bytes{};
  const auto size = static_cast<std::size_t>(own.bits() / 8);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = own.bytes()[i] & mask.bytes()[i];
  if (mask.bytes()[size - 1] == 0xff) return std::nullopt;
  for (const unsigned host : {1U, 2U, 0U}) {
    std::array<std::uint8_t, 16> other = bytes;
    other[size - 1] = static_cast<std::uint8_t>(other[size - 1] | host);
    const Address address = Address::from_bytes(own.family(), other.data());
    if (address != own) return address;
  }
  return std::nullopt;
}

}  // namespace

bool InterfaceAddress::is_link_local() const {
  return address.family() == AF_INET6 && address.bytes()[0] == 0xfe && (address.bytes()[1] & 0xc0) == 0x80;
}

int InterfaceAddress::prefix_length() const {
  int length = 0;
  for (int i = 0; i < mask.bits() / 8; ++i) length += std::popcount(mask.bytes()[i]);
  return length;
}

Result<std::vector<InterfaceAddress>> interface_addresses() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return errno_failure("getifaddrs", errno);
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, ::freeifaddrs);
  std::vector<InterfaceAddress> addresses;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_netmask == nullptr) continue;
    const int family = entry->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    addresses.push_back({.interface = entry->ifa_name,
                         .is_up = (entry->ifa_flags & IFF_UP) != 0,
                         .is_loopback = (entry->ifa_flags & IFF_LOOPBACK) != 0,
                         .address = address_of(entry->ifa_addr),
                         .mask = address_of(entry->ifa_netmask)});
  }
  return addresses;
}

Result<std::vector<Arrival>> arrivals() {
  const Result<std::vector<InterfaceAddress>> addresses = interface_addresses();
  if (!addresses) return std::unexpected(addresses.error());
  std::vector<Arrival> found;
  for (const InterfaceAddress& one : *addresses) {
    if (!one.is_up || one.is_loopback || one.is_link_local()) continue;
    if (const auto client = neighbour(one.address, one.mask)) found.push_back({one.interface, one.address, *client});
  }
  return found;
}

bool is_named(const std::string& interface, const std::vector<std::string>& patterns) {
  return std::ranges::any_of(patterns, [&](const std::string& pattern) {
    return pattern == interface ||
           (pattern.ends_with('*') && interface.starts_with(pattern.substr(0, pattern.size() - 1)));
  });
}

}  // namespace limpid
