// SPDX-License-Identifier: MIT
#include "intercept/xt_tproxy.h"

// clang-format off: after <netinet/in.h> the kernel's own header leaves out what both define.
#include <netinet/in.h>
#include <linux/netfilter.h>
// clang-format on
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/xt_TPROXY.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "net/libnl.h"
#include "net/netlink.h"
#include "net/traces.h"

namespace limpid {
namespace {

constexpr std::string_view untold = "xt target TPROXY";
constexpr std::string_view handle_word = " # handle ";

std::string_view name_in(const nlattr* attribute) { return attribute == nullptr ? "" : nla_get_string(attribute); }

// Revision 1 knows both families; iptables has used no other since 2010.
std::optional<XtTproxy> target_of(nlattr* expression, int family) {
  nlattr* parts[NFTA_EXPR_MAX + 1] = {};
  nla_parse_nested(parts, NFTA_EXPR_MAX, expression, nullptr);
  if (name_in(parts[NFTA_EXPR_NAME]) != "target" || parts[NFTA_EXPR_DATA] == nullptr) return std::nullopt;
  nlattr* target[NFTA_TARGET_MAX + 1] = {};
  nla_parse_nested(target, NFTA_TARGET_MAX, parts[NFTA_EXPR_DATA], nullptr);
  if (name_in(target[NFTA_TARGET_NAME]) != "TPROXY") return std::nullopt;
  xt_tproxy_target_info_v1 info{};
  const nlattr* const bytes = target[NFTA_TARGET_INFO];
  if (be32_of(target[NFTA_TARGET_REV]) != 1 || bytes == nullptr ||
      nla_len(bytes) < static_cast<int>(offsetof(xt_tproxy_target_info_v1, lport) + sizeof info.lport))
    return std::nullopt;
  std::memcpy(&info, nla_data(bytes), std::min(sizeof info, static_cast<std::size_t>(nla_len(bytes))));
  return XtTproxy{.table = "",
                  .to = {Address::from_bytes(family, &info.laddr), ntohs(info.lport)},
                  .mark = {info.mark_value, info.mark_mask}};
}

void add_from(const NetlinkAnswer& answer, std::vector<XtTproxy>& found) {
  const int family = static_cast<const nfgenmsg*>(nlmsg_data(answer.message()))->nfgen_family;
  if (family != NFPROTO_IPV4 && family != NFPROTO_IPV6) return;
  nlattr* rule[NFTA_RULE_MAX + 1] = {};
  nlmsg_parse(answer.message(), sizeof(nfgenmsg), rule, NFTA_RULE_MAX, nullptr);
  if (rule[NFTA_RULE_EXPRESSIONS] == nullptr) return;
  int rest = nla_len(rule[NFTA_RULE_EXPRESSIONS]);
  for (auto* expression = static_cast<nlattr*>(nla_data(rule[NFTA_RULE_EXPRESSIONS])); nla_ok(expression, rest) != 0;
       expression = nla_next(expression, &rest)) {
    auto target = target_of(expression, family == NFPROTO_IPV4 ? AF_INET : AF_INET6);
    if (!target) continue;
    target->table = fmt::format("{} {}", nft_family_name(family), name_in(rule[NFTA_RULE_TABLE]));
    target->handle = be64_of(rule[NFTA_RULE_HANDLE]);
    found.push_back(*std::move(target));
  }
}

}  // namespace

std::string XtTproxy::text() const {
  const std::string address = to.address.is_any()      ? ""
                              : to.family() == AF_INET ? to.address.text()
                                                       : fmt::format("[{}]", to.address.text());
  const std::string kept = mark.mask == 0xffffffff ? "" : fmt::format("meta mark and 0x{:08x} or ", ~mark.mask);
  const std::string marked = mark.mask == 0 ? "" : fmt::format("meta mark set {}0x{:08x} ", kept, mark.bits);
  return fmt::format("tproxy to {}:{} {}accept", address, to.port, marked);
}

Result<std::vector<XtTproxy>> xt_tproxies() {
  Result<Netlink> netlink = Netlink::open(NETLINK_NETFILTER);
  if (!netlink) return std::unexpected(netlink.error());
  const nfgenmsg header{.nfgen_family = NFPROTO_UNSPEC, .version = NFNETLINK_V0, .res_id = 0};
  const auto answers = netlink->ask(
      "NFT_MSG_GETRULE",
      netlink_message(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE, NLM_F_REQUEST | NLM_F_DUMP, &header, sizeof header));
  if (!answers) return failure_in("list the rules of iptables", answers);
  std::vector<XtTproxy> found;
  for (const NetlinkAnswer& answer : *answers) add_from(answer, found);
  return found;
}

std::string with_tproxies_told(std::string_view listing, const std::vector<XtTproxy>& rules) {
  std::string text, table;
  for (std::size_t begin = 0; begin < listing.size();) {
    const std::size_t end = std::min(listing.find('\n', begin), listing.size());
    std::string_view line = listing.substr(begin, end - begin);
    begin = end + 1;
    std::uint64_t handle = 0;
    if (const std::size_t at = line.rfind(handle_word); at != std::string_view::npos) {
      std::from_chars(line.data() + at + handle_word.size(), line.data() + line.size(), handle);
      line = line.substr(0, at);
    }
    if (line.starts_with("table ")) table = line.substr(6, line.find(" {") - 6);
    const std::size_t at = line.find(untold);
    const auto rule =
        std::ranges::find_if(rules, [&](const XtTproxy& one) { return one.table == table && one.handle == handle; });
    if (at != std::string_view::npos && rule != rules.end())
      text += fmt::format("{0}{1}\n{0}drop\n", line.substr(0, at), rule->text());
    else
      text += fmt::format("{}\n", line);
  }
  return text;
}

}  // namespace limpid
