// SPDX-License-Identifier: MIT
#include "exec/permissions.h"

namespace limpid {
namespace {

// To 0.0.0.0 and :: a machine speaks with itself (ip(7)).
bool stays_here(const Address& destination) { return destination.is_loopback() || destination.is_any(); }

}  // namespace

Result<Endpoint> parse_source_address(std::string_view text) {
  Endpoint source;
  if (const Result<Address> address = Address::parse(text)) {
    source.address = *address;
  } else {
    const Result<Endpoint> endpoint = Endpoint::parse(text);
    if (!endpoint)
      return failure(
          fmt::format("\"{}\" is neither an address like 192.0.2.1 or 2001:db8::1 nor one with a port like "
                      "192.0.2.1:5000 or [2001:db8::1]:5000",
                      text));
    source = *endpoint;
  }
  if (source.address.is_any()) return failure(fmt::format("nothing can leave from {}: name an address", text));
  if (source.address != source.address.unmapped())
    return failure(fmt::format("{} is an IPv4 address: write {}", text, source.address.unmapped().text()));
  return source;
}

std::optional<Endpoint> source_towards(const Endpoint& destination, int socket_family, const Endpoint& source) {
  const Address towards = destination.address.unmapped();
  if (towards.family() != source.family() || stays_here(towards) != source.address.is_loopback()) return std::nullopt;
  if (socket_family == AF_INET && destination.family() == AF_INET6) return std::nullopt;  // the kernel refuses that
  if (socket_family == source.family()) return source;
  return Endpoint{source.address.mapped(), source.port};
}

}  // namespace limpid
