// SPDX-License-Identifier: MIT
#include "proxy/settings.h"

#include <sys/socket.h>

#include "base/check.h"

namespace limpid {

Endpoint probe_destination(int family) {
  const Result<Address> address = Address::parse(family == AF_INET ? "192.0.2.1" : "2001:db8::1");
  CHECK(address.has_value());
  return {*address, probe_port};
}

}  // namespace limpid
