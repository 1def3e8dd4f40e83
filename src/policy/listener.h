// SPDX-License-Identifier: MIT
// A listener of the user's own: limpid.toml(5), [[listener]]. Values only.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "net/address.h"

namespace limpid {

enum class Accept : std::uint8_t {
  plain,           // any connection to the address
  proxy_protocol,  // likewise, from who is trusted to say whose connection it is
  transparent,     // also what the user's own rules lead there, which keeps its destination
};

// The word that `action` may be beside an upstream's name.
inline constexpr std::string_view action_rules = "rules";

struct ListenerSettings {
  std::string name;
  std::vector<Endpoint> listen;
  Accept accept = Accept::plain;
  std::vector<Prefix> trusted;       // who may send a header of the PROXY protocol
  std::string action{action_rules};  // or an upstream's name
  bool fast_open = false;            // TCP Fast Open, and connections that say nothing wait in the kernel

  [[nodiscard]] bool trusts(const Address& peer) const {
    return std::ranges::any_of(trusted, [&](const Prefix& prefix) { return prefix.contains(peer); });
  }
  bool operator==(const ListenerSettings&) const = default;
};

}  // namespace limpid
