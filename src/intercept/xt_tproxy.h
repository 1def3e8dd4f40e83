// SPDX-License-Identifier: MIT
// The TPROXY rules of iptables, of which nft(8) tells no more than "xt target TPROXY": port, address and mark, from the
// kernel itself (include/uapi/linux/netfilter/xt_TPROXY.h).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/address.h"

namespace limpid {

struct XtTproxy {
  std::string table;         // "ip mangle"
  std::uint64_t handle = 0;  // of the rule
  Endpoint to;               // the wildcard address: that of the interface the packet comes in at
  Mark mark;

  [[nodiscard]] std::string text() const;  // "tproxy to :9000 meta mark set 0x00000001 accept"
  bool operator==(const XtTproxy&) const = default;
};

// CAP_NET_ADMIN.
[[nodiscard]] Result<std::vector<XtTproxy>> xt_tproxies();

// A listing with handles ("# handle 7"), without them, and with these rules in nft(8)'s own words. One that finds no
// listener drops the packet: a second rule says so. Pure.
[[nodiscard]] std::string with_tproxies_told(std::string_view listing, const std::vector<XtTproxy>& rules);

}  // namespace limpid
