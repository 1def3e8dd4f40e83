// SPDX-License-Identifier: MIT
// What a proxy is asked for, and in whose name. Values.
#pragma once
#include <string>
#include <string_view>

#include "net/address.h"

namespace limpid {

struct ProxyDestination {
  Endpoint endpoint;
  std::string host;  // where not empty it is named in place of the address, and the proxy resolves it

  bool operator==(const ProxyDestination&) const = default;
};

struct Credentials {
  std::string name;
  std::string password;

  bool operator==(const Credentials&) const = default;
};

// 1 to 255 letters, digits, '-', '_' and '.', the first no '.': what may be handed on to a proxy of what a client said.
[[nodiscard]] bool is_host_name(std::string_view text);

// The destination's host, if any, is one.
[[nodiscard]] Result<> check_destination(const ProxyDestination& destination);

}  // namespace limpid
