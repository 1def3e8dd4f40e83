// SPDX-License-Identifier: MIT
// Packets as they may come in at this machine's interfaces, for questions to the kernel's route look-up (Fib::way).
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "net/address.h"

namespace limpid {

// An address of this machine's.
struct InterfaceAddress {
  std::string interface;
  bool is_up = false;
  bool is_loopback = false;  // of lo
  Address address;
  Address mask;
  bool operator==(const InterfaceAddress&) const = default;

  [[nodiscard]] bool is_link_local() const;  // of IPv6
  [[nodiscard]] int prefix_length() const;
};
[[nodiscard]] Result<std::vector<InterfaceAddress>> interface_addresses();

// Where somebody next to us would come in, and as whom.
struct Arrival {
  std::string interface;
  Address own;     // the interface's address in that network
  Address client;  // another host's
  bool operator==(const Arrival&) const = default;
};

// One for each address of each interface that is up, but for loopback and link-local ones (a route look-up from those
// needs more than a question can say) and networks with room for nobody else.
[[nodiscard]] Result<std::vector<Arrival>> arrivals();

// Does "lan*" or "lan0" mean this interface?
[[nodiscard]] bool is_named(const std::string& interface, const std::vector<std::string>& patterns);

}  // namespace limpid
