// SPDX-License-Identifier: MIT
// Accounts of UDP flows as the bodies of messages between supervisor and worker. Pure.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "proxy/udp_relay.h"

namespace limpid {

struct PackedAccounts {
  std::string body;
  std::size_t count = 0;  // of accounts in it
};

// As many of the first ones as `room` bytes hold; one at least, where there is one, which takes 512 bytes at the most.
// What its label has beyond 255 bytes a name is left out.
[[nodiscard]] PackedAccounts pack_accounts(std::span<const FlowAccount> accounts, std::size_t room);

// What comes from the worker is not trusted: an Error if it is not what pack_accounts() makes, or has a name that the
// access log could not bear as it is.
[[nodiscard]] Result<std::vector<FlowAccount>> unpack_accounts(std::string_view body);

}  // namespace limpid
