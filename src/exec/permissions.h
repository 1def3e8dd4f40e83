// SPDX-License-Identifier: MIT
// What the sockets of a program may do beyond what it could do by itself, and where they leave from.
#pragma once
#include <optional>

#include "net/address.h"

namespace limpid {

struct Permissions {
  bool bind_any = false;           // whatever it binds is transparent
  std::optional<Endpoint> source;  // what it has not bound leaves from there; port 0: the kernel chooses
};

// "192.0.2.1", "192.0.2.1:5000", "2001:db8::1", "[2001:db8::1]:5000": an address that packets can come from.
[[nodiscard]] Result<Endpoint> parse_source_address(std::string_view text);

// Where a socket of that family (AF_INET, AF_INET6) shall leave from towards a destination, in the socket's own family;
// nothing where it is to be left alone: the destination is of the other family, or one of the two is a loopback address
// and the other not, between which there is no way.
[[nodiscard]] std::optional<Endpoint> source_towards(const Endpoint& destination, int socket_family,
                                                     const Endpoint& source);

}  // namespace limpid
