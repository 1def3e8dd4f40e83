// SPDX-License-Identifier: MIT
#include "intercept/direct_flows.h"

#include <arpa/inet.h>
#include <fmt/ranges.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/msg.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "net/netlink.h"

namespace limpid {
namespace {

std::string element(const Endpoint& from, const Endpoint& to) {
  return fmt::format("{} . {} . {} . {}", from.address.text(), from.port, to.address.text(), to.port);
}

// A field of a concatenated key, each of which fills whole words of four bytes.
Endpoint read_endpoint(int family, const char*& at) {
  const Address address = Address::from_bytes(family, at);
  at += address.bits() / 8;
  std::uint16_t port;
  std::memcpy(&port, at, sizeof port);
  at += 4;
  return {address, ntohs(port)};
}

std::optional<Flow> read_key(int family, nlattr* key) {
  nlattr* const value = nla_find(static_cast<nlattr*>(nla_data(key)), nla_len(key), NFTA_DATA_VALUE);
  const int size = family == AF_INET ? 16 : 40;
  if (value == nullptr || nla_len(value) != size) return std::nullopt;
  const auto* at = static_cast<const char*>(nla_data(value));
  const Endpoint from = read_endpoint(family, at);
  return Flow{from, read_endpoint(family, at)};
}

std::uint64_t read_number(nlattr* data, int type) {
  nlattr* const number = nla_find(static_cast<nlattr*>(nla_data(data)), nla_len(data), type);
  std::uint64_t value = 0;
  if (number != nullptr && nla_len(number) == sizeof value) std::memcpy(&value, nla_data(number), sizeof value);
  return be64toh(value);
}

std::optional<DirectCount> read_element(int family, nlattr* one) {
  nlattr* parts[NFTA_SET_ELEM_MAX + 1];
  if (nla_parse_nested(parts, NFTA_SET_ELEM_MAX, one, nullptr) < 0 || parts[NFTA_SET_ELEM_KEY] == nullptr ||
      parts[NFTA_SET_ELEM_EXPR] == nullptr)
    return std::nullopt;
  const std::optional<Flow> ends = read_key(family, parts[NFTA_SET_ELEM_KEY]);
  nlattr* const expression = parts[NFTA_SET_ELEM_EXPR];
  nlattr* const data = nla_find(static_cast<nlattr*>(nla_data(expression)), nla_len(expression), NFTA_EXPR_DATA);
  if (!ends || data == nullptr) return std::nullopt;
  return DirectCount{*ends, read_number(data, NFTA_COUNTER_PACKETS), read_number(data, NFTA_COUNTER_BYTES)};
}

Result<> add_counts(Netlink& netfilter, int family, std::vector<DirectCount>& counts) {
  const nfgenmsg header{.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0, .res_id = 0};
  const NetlinkMessage request =
      netlink_message(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSETELEM, NLM_F_DUMP, &header, sizeof header);
  nla_put_string(request.get(), NFTA_SET_ELEM_LIST_TABLE, "limpid");
  nla_put_string(request.get(), NFTA_SET_ELEM_LIST_SET, family == AF_INET ? "direct4" : "direct6");
  const Result<std::vector<NetlinkAnswer>> answers = netfilter.ask("NFT_MSG_GETSETELEM", request);
  if (!answers) return std::unexpected(answers.error());
  for (const NetlinkAnswer& answer : *answers) {
    nlattr* const list = nlmsg_find_attr(answer.message(), sizeof(nfgenmsg), NFTA_SET_ELEM_LIST_ELEMENTS);
    if (list == nullptr) continue;
    nlattr* one;
    int rest;
    nla_for_each_nested(one, list, rest) {
      if (const std::optional<DirectCount> count = read_element(family, one)) counts.push_back(*count);
    }
  }
  return {};
}

}  // namespace

std::string direct_change(DirectChange change, std::span<const Flow> flows) {
  std::string text;
  for (const int family : {AF_INET, AF_INET6}) {
    std::vector<std::string> elements;
    for (const Flow& flow : flows) {
      if (flow.client.family() != family) continue;
      elements.push_back(element(flow.client, flow.destination));
      elements.push_back(element(flow.destination, flow.client));
    }
    if (!elements.empty())
      text += fmt::format("{} element inet limpid direct{} {{ {} }}\n", change == DirectChange::add ? "add" : "delete",
                          family == AF_INET ? '4' : '6', fmt::join(elements, ", "));
  }
  return text;
}

Result<std::vector<DirectCount>> direct_counts(const std::vector<int>& families) {
  Result<Netlink> netfilter = Netlink::open(NETLINK_NETFILTER);
  if (!netfilter) return std::unexpected(netfilter.error());
  std::vector<DirectCount> counts;
  for (const int family : families)
    if (Result<> added = add_counts(*netfilter, family, counts); !added)
      return failure_in("read the flows that go direct", added);
  return counts;
}

}  // namespace limpid
