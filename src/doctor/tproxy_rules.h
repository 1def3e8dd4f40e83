// SPDX-License-Identifier: MIT
// The tproxy rules of nftables that somebody wrote by hand, from what nft(8) prints. Pure.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "intercept/judge.h"

namespace limpid {

struct TproxyRule {
  NftChain chain;         // it stands in
  std::size_t place = 0;  // in the chain, from 0
  std::vector<int> families;
  std::vector<int> protocols;        // IPPROTO_TCP, IPPROTO_UDP
  std::optional<Address> address{};  // that the packets are led to; nothing: the one of the interface they come in at
  std::uint16_t port = 0;
  std::vector<std::string> interfaces{};  // where they come in, as it names them; none: anywhere
  std::vector<PortRange> taken{};         // destination ports; none: the rule does not say
  std::uint32_t mark = 0;                 // it gives them; 0: none

  [[nodiscard]] const std::string& text() const { return chain.rules[place]; }
};

// Nothing: it is none, or leads to a port which it looks up in a map.
[[nodiscard]] std::optional<TproxyRule> read_tproxy_rule(const NftChain& chain, std::size_t place);

// Those of all chains but limpid's own.
[[nodiscard]] std::vector<TproxyRule> tproxy_rules(const std::vector<NftChain>& chains);

// The earlier rule of the same chain that decides about all that this one would take, if there is one.
[[nodiscard]] std::optional<std::string> decided_before(const TproxyRule& rule);

// Behind "dport" in a rule's text; none: it does not say, or by something that is no number.
[[nodiscard]] std::vector<PortRange> ports_after_dport(const std::string& rule);

}  // namespace limpid
