// SPDX-License-Identifier: MIT
// What can be seen of limpid in a network namespace's kernel state, asked of the kernel itself (netlink) and not of the
// code that installs it: a second opinion.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace limpid {

struct TraceSigns {
  std::string table;       // nftables tables of this name, of any family
  unsigned char protocol;  // fib rules and routes that bear this protocol number (rtnetlink(7), rtm_protocol)
};

// A line for each thing found in the calling thread's namespace, in nft(8) and ip(8) words; empty: it is clean.
// Tables need CAP_NET_ADMIN.
[[nodiscard]] Result<std::vector<std::string>> find_traces(const TraceSigns& signs);

// "inet", "ip6" and so on: nft(8)'s word for a family of nftables (NFPROTO_*).
[[nodiscard]] std::string_view nft_family_name(int family);

}  // namespace limpid
