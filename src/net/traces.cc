// SPDX-License-Identifier: MIT
#include "net/traces.h"

// clang-format off: after <netinet/in.h> the kernel's own header leaves out what both define.
#include <netinet/in.h>
#include <linux/netfilter.h>
// clang-format on
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/route/route.h>
#include <netlink/route/rule.h>
#include <sys/socket.h>

#include "net/libnl.h"

namespace limpid {
namespace {

using Message = Owned<nl_msg, nlmsg_free>;
using Cache = Owned<nl_cache, nl_cache_free>;

struct TableSearch {
  const std::string& name;
  std::vector<std::string>& found;
};

int note_table(nl_msg* message, void* argument) {
  auto& search = *static_cast<TableSearch*>(argument);
  nlmsghdr* header = nlmsg_hdr(message);
  const nlattr* name = nlmsg_find_attr(header, sizeof(nfgenmsg), NFTA_TABLE_NAME);
  if (name == nullptr || search.name != nla_get_string(name)) return NL_OK;
  const auto* about = static_cast<const nfgenmsg*>(nlmsg_data(header));
  search.found.push_back(fmt::format("table {} {}", nft_family_name(about->nfgen_family), search.name));
  return NL_OK;
}

Result<> find_tables(const std::string& name, std::vector<std::string>& found) {
  Result<NetlinkSocket> socket = open_netlink(NETLINK_NETFILTER);
  if (!socket) return std::unexpected(socket.error());
  const Message message(nlmsg_alloc_simple(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, NLM_F_DUMP));
  nfgenmsg about{.nfgen_family = NFPROTO_UNSPEC, .version = NFNETLINK_V0, .res_id = 0};
  nlmsg_append(message.get(), &about, sizeof about, NLMSG_ALIGNTO);
  TableSearch search{name, found};
  nl_socket_modify_cb(socket->get(), NL_CB_VALID, NL_CB_CUSTOM, note_table, &search);
  int code = nl_send_auto(socket->get(), message.get());
  if (code >= 0) code = nl_recvmsgs_default(socket->get());
  if (code < 0) return netlink_failure("list nftables tables", code);
  return {};
}

Result<> find_rules(nl_sock* socket, unsigned char protocol, std::vector<std::string>& found) {
  nl_cache* filled = nullptr;
  if (const int code = rtnl_rule_alloc_cache(socket, AF_UNSPEC, &filled); code < 0)
    return netlink_failure("list fib rules", code);
  const Cache rules(filled);
  for (nl_object* object = nl_cache_get_first(rules.get()); object != nullptr; object = nl_cache_get_next(object)) {
    auto* rule = reinterpret_cast<rtnl_rule*>(object);
    std::uint8_t bears = 0;
    if (rtnl_rule_get_protocol(rule, &bears) < 0 || bears != protocol) continue;
    found.push_back(fmt::format("ip {} rule {} fwmark 0x{:x} lookup {}",
                                rtnl_rule_get_family(rule) == AF_INET ? "-4" : "-6", rtnl_rule_get_prio(rule),
                                rtnl_rule_get_mark(rule), rtnl_rule_get_table(rule)));
  }
  return {};
}

Result<> find_routes(nl_sock* socket, unsigned char protocol, std::vector<std::string>& found) {
  nl_cache* filled = nullptr;
  if (const int code = rtnl_route_alloc_cache(socket, AF_UNSPEC, 0, &filled); code < 0)
    return netlink_failure("list routes", code);
  const Cache routes(filled);
  for (nl_object* object = nl_cache_get_first(routes.get()); object != nullptr; object = nl_cache_get_next(object)) {
    auto* route = reinterpret_cast<rtnl_route*>(object);
    if (rtnl_route_get_protocol(route) != protocol) continue;
    found.push_back(fmt::format("ip {} route table {}", rtnl_route_get_family(route) == AF_INET ? "-4" : "-6",
                                rtnl_route_get_table(route)));
  }
  return {};
}

}  // namespace

std::string_view nft_family_name(int family) {
  switch (family) {
    case NFPROTO_IPV4:
      return "ip";
    case NFPROTO_IPV6:
      return "ip6";
    case NFPROTO_INET:
      return "inet";
    case NFPROTO_BRIDGE:
      return "bridge";
    case NFPROTO_ARP:
      return "arp";
    case NFPROTO_NETDEV:
      return "netdev";
    default:
      return "?";
  }
}

Result<std::vector<std::string>> find_traces(const TraceSigns& signs) {
  std::vector<std::string> found;
  Result<NetlinkSocket> socket = open_netlink(NETLINK_ROUTE);
  if (!socket) return std::unexpected(socket.error());
  for (const Result<>& done : {find_tables(signs.table, found), find_rules(socket->get(), signs.protocol, found),
                               find_routes(socket->get(), signs.protocol, found)})
    if (!done) return std::unexpected(done.error());
  return found;
}

}  // namespace limpid
