// SPDX-License-Identifier: MIT
#include "net/links.h"

#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <string_view>

#include "net/netlink.h"

namespace limpid {
namespace {

// Attributes nested in another: a table indexed by type, or nothing if it is not there.
template <std::size_t Count>
void parse_nested(nlattr* (&table)[Count], nlattr* parent) {
  if (parent != nullptr) nla_parse_nested(table, Count - 1, parent, nullptr);
}

bool is_set(const nlattr* attribute) { return attribute != nullptr && nla_get_u8(attribute) != 0; }

Link link_of(nlmsghdr* message) {
  const auto* const header = static_cast<const ifinfomsg*>(nlmsg_data(message));
  nlattr* attributes[IFLA_MAX + 1] = {};
  nlattr* kind[IFLA_INFO_MAX + 1] = {};
  nlattr* bridge[IFLA_BR_MAX + 1] = {};
  nlmsg_parse(message, sizeof(ifinfomsg), attributes, IFLA_MAX, nullptr);
  parse_nested(kind, attributes[IFLA_LINKINFO]);

  Link link;
  link.index = header->ifi_index;
  link.is_up = (header->ifi_flags & IFF_UP) != 0;
  if (attributes[IFLA_IFNAME] != nullptr) link.name = nla_get_string(attributes[IFLA_IFNAME]);
  link.is_bridge =
      kind[IFLA_INFO_KIND] != nullptr && nla_get_string(kind[IFLA_INFO_KIND]) == std::string_view("bridge");
  if (!link.is_bridge) return link;
  parse_nested(bridge, kind[IFLA_INFO_DATA]);
  link.calls_iptables = is_set(bridge[IFLA_BR_NF_CALL_IPTABLES]) || is_set(bridge[IFLA_BR_NF_CALL_IP6TABLES]);
  return link;
}

}  // namespace

Result<std::vector<Link>> links() {
  Result<Netlink> netlink = Netlink::open(NETLINK_ROUTE);
  if (!netlink) return failure_in("list links", netlink);
  const ifinfomsg header{};
  const auto answers =
      netlink->ask("RTM_GETLINK", netlink_message(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, &header, sizeof header));
  if (!answers) return failure_in("list links", answers);
  std::vector<Link> result;
  for (const NetlinkAnswer& answer : *answers) result.push_back(link_of(answer.message()));
  return result;
}

}  // namespace limpid
