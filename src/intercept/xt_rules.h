// SPDX-License-Identifier: MIT
// What rules of iptables say that nft(8) does not tell, from the kernel itself: port, address and mark of TPROXY (it
// prints "xt target TPROXY" at the most), and which other matches and targets there are. Where tables of both families
// are listed, it leaves those out without a word whose module for the other family has been loaded first.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/address.h"

namespace limpid {

struct XtTproxy {
  Endpoint to;  // the wildcard address: that of the interface the packet comes in at
  Mark mark;

  [[nodiscard]] std::string text() const;  // "tproxy to :9000 meta mark set 0x00000001 accept"
  bool operator==(const XtTproxy&) const = default;
};

// A rule with matches or targets that are iptables' own.
struct XtRule {
  std::string table;  // "ip mangle"
  std::uint64_t handle = 0;
  std::vector<std::string> names{};  // of all but TPROXY: "string", "MARK"
  std::optional<XtTproxy> tproxy{};
  bool operator==(const XtRule&) const = default;
};

// CAP_NET_ADMIN.
[[nodiscard]] Result<std::vector<XtRule>> xt_rules();

// A listing with handles ("# handle 7"), without them, and with what is left out of these rules: TPROXY in nft(8)'s own
// words (one that finds no listener drops the packet: a second rule says so), others as "xt match NAME". Pure.
[[nodiscard]] std::string with_xt_told(std::string_view listing, const std::vector<XtRule>& rules);

}  // namespace limpid
