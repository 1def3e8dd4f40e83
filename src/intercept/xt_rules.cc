// SPDX-License-Identifier: MIT
#include "intercept/xt_rules.h"

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
#include <cctype>
#include <charconv>
#include <cstring>
#include <optional>

#include "intercept/mark_use.h"
#include "net/libnl.h"
#include "net/netlink.h"
#include "net/traces.h"

namespace limpid {
namespace {

constexpr std::string_view handle_word = " # handle ";

std::string_view name_in(const nlattr* attribute) { return attribute == nullptr ? "" : nla_get_string(attribute); }

// Revision 1 knows both families; iptables has used no other since 2010.
std::optional<XtTproxy> read_tproxy(nlattr* const* target, int family) {
  xt_tproxy_target_info_v1 info{};
  const nlattr* const bytes = target[NFTA_TARGET_INFO];
  if (be32_of(target[NFTA_TARGET_REV]) != 1 || bytes == nullptr ||
      nla_len(bytes) < static_cast<int>(offsetof(xt_tproxy_target_info_v1, lport) + sizeof info.lport))
    return std::nullopt;
  std::memcpy(&info, nla_data(bytes), std::min(sizeof info, static_cast<std::size_t>(nla_len(bytes))));
  return XtTproxy{.to = {Address::from_bytes(family, &info.laddr), ntohs(info.lport)},
                  .mark = {info.mark_value, info.mark_mask}};
}

void read_expression(nlattr* expression, int family, XtRule& rule) {
  nlattr* parts[NFTA_EXPR_MAX + 1] = {};
  nla_parse_nested(parts, NFTA_EXPR_MAX, expression, nullptr);
  const std::string_view kind = name_in(parts[NFTA_EXPR_NAME]);
  if ((kind != "target" && kind != "match") || parts[NFTA_EXPR_DATA] == nullptr) return;
  // NFTA_MATCH_NAME and its kin have the same numbers.
  nlattr* target[NFTA_TARGET_MAX + 1] = {};
  nla_parse_nested(target, NFTA_TARGET_MAX, parts[NFTA_EXPR_DATA], nullptr);
  const std::string_view name = name_in(target[NFTA_TARGET_NAME]);
  if (name == "TPROXY") rule.tproxy = read_tproxy(target, family);
  if (!rule.tproxy || name != "TPROXY") rule.names.emplace_back(name);
}

void add_from(const NetlinkAnswer& answer, std::vector<XtRule>& found) {
  const int family = static_cast<const nfgenmsg*>(nlmsg_data(answer.message()))->nfgen_family;
  if (family != NFPROTO_IPV4 && family != NFPROTO_IPV6) return;
  nlattr* parts[NFTA_RULE_MAX + 1] = {};
  nlmsg_parse(answer.message(), sizeof(nfgenmsg), parts, NFTA_RULE_MAX, nullptr);
  nlattr* const expressions = parts[NFTA_RULE_EXPRESSIONS];
  if (expressions == nullptr) return;
  XtRule rule{.table = fmt::format("{} {}", nft_family_name(family), name_in(parts[NFTA_RULE_TABLE])),
              .handle = be64_of(parts[NFTA_RULE_HANDLE])};
  int rest = nla_len(expressions);
  for (auto* one = static_cast<nlattr*>(nla_data(expressions)); nla_ok(one, rest) != 0; one = nla_next(one, &rest))
    read_expression(one, family == NFPROTO_IPV4 ? AF_INET : AF_INET6, rule);
  if (rule.tproxy || !rule.names.empty()) found.push_back(std::move(rule));
}

// The word by which nft(8) tells of one that it can translate.
std::string word_for(std::string_view name) {
  if (name == "conntrack" || name == "state" || name == "CONNMARK" || name == "connmark") return "ct";
  if (name == "multiport") return "dport";
  if (name == "addrtype") return "fib";
  std::string word(name);
  for (char& letter : word) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return word;
}

bool is_told(std::string_view line, const std::string& name) {
  const auto words = words_of(line);
  return std::ranges::find(words, word_for(name)) != words.end() || std::ranges::find(words, name) != words.end();
}

std::string told(std::string_view line, const XtRule& rule) {
  std::string text(line);
  const std::size_t indent = std::min(text.find_first_not_of(" \t"), text.size());
  for (const std::string& name : rule.names)
    if (name != "comment" && !is_told(line, name)) text.insert(indent, fmt::format("xt match {} ", name));
  for (const std::string_view words : {"xt match comment ", "xt target TPROXY"})
    if (const std::size_t at = text.find(words); at != std::string::npos && (rule.tproxy || words[3] == 'm'))
      text.erase(at, words.size());
  if (!rule.tproxy) return text + '\n';
  while (text.ends_with(' ')) text.pop_back();
  return fmt::format("{0} {1}\n{0} drop\n", text, rule.tproxy->text());
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

Result<std::vector<XtRule>> xt_rules() {
  Result<Netlink> netlink = Netlink::open(NETLINK_NETFILTER);
  if (!netlink) return std::unexpected(netlink.error());
  const nfgenmsg header{.nfgen_family = NFPROTO_UNSPEC, .version = NFNETLINK_V0, .res_id = 0};
  const auto answers = netlink->ask(
      "NFT_MSG_GETRULE",
      netlink_message(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE, NLM_F_REQUEST | NLM_F_DUMP, &header, sizeof header));
  if (!answers) return failure_in("list the rules of iptables", answers);
  std::vector<XtRule> found;
  for (const NetlinkAnswer& answer : *answers) add_from(answer, found);
  return found;
}

std::string with_xt_told(std::string_view listing, const std::vector<XtRule>& rules) {
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
    const bool is_rule = handle != 0 && !line.ends_with('{');  // tables and chains have handles too
    const auto rule =
        std::ranges::find_if(rules, [&](const XtRule& one) { return one.table == table && one.handle == handle; });
    text += is_rule && rule != rules.end() ? told(line, *rule) : fmt::format("{}\n", line);
  }
  return text;
}

}  // namespace limpid
