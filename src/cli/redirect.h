// SPDX-License-Identifier: MIT
// `limpid redirect`: tcprdr(1)'s command line as a configuration.
#pragma once
#include <string>

#include "config/config.h"

namespace limpid {

struct RedirectOptions {
  bool ipv4 = false;  // -4: of this family alone, on both sides
  bool ipv6 = false;  // -6
  bool fast_open = false;
  bool loop = false;           // -l: go on after the first connection
  bool transparent = false;    // -t
  bool as_client = false;      // -T
  std::string listen_address;  // -L: numeric; empty: the wildcard address
  std::string local_port;      // a number or a service's name (services(5))
  std::string host;            // a name or an address
  std::string remote_port;     // empty: as local_port
};

// One listener and one fixed upstream. Names are resolved here, once (getaddrinfo(3)).
[[nodiscard]] Result<Config> redirect_config(const RedirectOptions& options);

}  // namespace limpid
