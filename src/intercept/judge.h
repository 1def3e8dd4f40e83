// SPDX-License-Identifier: MIT
// Judgements about other people's nftables and fib rules, from what nft(8) and the kernel print. Pure. They read what
// nft itself prints, iptables-nft's tables included; the elements of named sets and legacy iptables are out of their
// sight.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "intercept/plan.h"

namespace limpid {

struct NftChain {
  std::string family;  // "ip"
  std::string table;   // "filter"
  std::string name;    // "INPUT"
  std::string hook;    // "type filter hook input priority filter; policy drop;", empty if it has none
  std::vector<std::string> rules;
  bool operator==(const NftChain&) const = default;
};

// The chains of a listed ruleset; and all but those of our own two tables: those of whose kernel state it is about. For
// a set-up for another proxy, also without those of its like.
[[nodiscard]] std::vector<NftChain> parse_whole_ruleset(std::string_view listing);
[[nodiscard]] std::vector<NftChain> parse_ruleset(std::string_view listing, const Instance& whose = {});

// Of limpid's own tables, those of `limpid rules` among them.
[[nodiscard]] bool is_ours(const NftChain& chain);

// By its policy, or by a last rule that looks at nothing.
[[nodiscard]] bool drops_by_default(const NftChain& chain);

// "nft table inet filter, chain input"
[[nodiscard]] std::string where(const NftChain& chain);

// Who else uses bits of our marks, and which key to change. A rule that only accepts what carries our mark is welcome.
[[nodiscard]] std::vector<std::string> mark_conflicts(const std::vector<NftChain>& chains, const Intercept& settings);

// Fib rules of others that use bits of our marks, or one of our priorities.
[[nodiscard]] std::vector<std::string> fib_conflicts(const std::vector<FibRule>& rules, const Intercept& settings,
                                                     const Instance& whose = {});

// Routes of others in our table.
[[nodiscard]] std::vector<std::string> route_conflicts(const std::vector<FibRoute>& routes, const Intercept& settings,
                                                       const Instance& whose = {});

// Whether others do: limpid's tables, whosever, have rules about it only where it is in use.
[[nodiscard]] bool uses_conntrack(const std::vector<NftChain>& chains);
// Whether packets that are forwarded meet a chain, whatever it does with them.
[[nodiscard]] bool filters_forwarding(const std::vector<NftChain>& chains);

// Chains of the input hook that drop by default and know no exception for our mark: a sentence each, with the rule to
// add.
[[nodiscard]] std::vector<std::string> input_drops(const std::vector<NftChain>& chains, const Intercept& settings);
// Likewise of the forward hook and own_mark, which UDP flows carry that the kernel forwards by itself.
[[nodiscard]] std::vector<std::string> forward_drops(const std::vector<NftChain>& chains, const Intercept& settings);

// TcpExt SyncookiesSent in the text of /proc/net/netstat; 0 if it does not say.
[[nodiscard]] std::uint64_t cookies_sent(std::string_view netstat);

}  // namespace limpid
