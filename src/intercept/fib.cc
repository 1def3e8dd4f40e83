// SPDX-License-Identifier: MIT
#include "intercept/fib.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace limpid {
namespace {

constexpr int loopback_index = 1;  // in every network namespace (LOOPBACK_IFINDEX in include/net/flow.h)

std::uint8_t byte(int value) { return static_cast<std::uint8_t>(value); }

void put(const NetlinkMessage& message, int type, std::uint32_t value) {
  CHECK(nla_put_u32(message.get(), type, value) == 0);
}

void put(const NetlinkMessage& message, int type, const Address& address) {
  CHECK(nla_put(message.get(), type, address.bits() / 8, address.bytes()) == 0);
}

NetlinkMessage rule_message(int type, int flags, const FibRule& rule) {
  const bool is_lookup = rule.action == FibRule::Action::lookup;
  fib_rule_hdr header{};
  header.family = byte(rule.family);
  header.action = is_lookup ? FR_ACT_TO_TBL : FR_ACT_GOTO;
  if (rule.from) header.src_len = byte(rule.from->address.bits());
  NetlinkMessage message = netlink_message(type, NLM_F_REQUEST | flags, &header, sizeof header);
  put(message, FRA_PRIORITY, rule.priority);
  put(message, is_lookup ? FRA_TABLE : FRA_GOTO, rule.target);
  CHECK(nla_put_u8(message.get(), FRA_PROTOCOL, rule.protocol) == 0);
  if (rule.from) {
    put(message, FRA_SRC, rule.from->address);
    CHECK(nla_put_u8(message.get(), FRA_IP_PROTO, IPPROTO_TCP) == 0);
    const fib_rule_port_range port{.start = rule.from->port, .end = rule.from->port};
    CHECK(nla_put(message.get(), FRA_SPORT_RANGE, sizeof port, &port) == 0);
  }
  if (!rule.interface.empty()) CHECK(nla_put_string(message.get(), FRA_IIFNAME, rule.interface.c_str()) == 0);
  if (rule.mark.mask != 0) {
    put(message, FRA_FWMARK, rule.mark.bits);
    put(message, FRA_FWMASK, rule.mark.mask);
  }
  return message;
}

NetlinkMessage route_message(int type, int flags, const FibRoute& route) {
  rtmsg header{};
  header.rtm_family = byte(route.family);
  header.rtm_protocol = route.protocol;
  header.rtm_scope = RT_SCOPE_HOST;
  header.rtm_type = RTN_LOCAL;
  NetlinkMessage message = netlink_message(type, NLM_F_REQUEST | flags, &header, sizeof header);
  put(message, RTA_TABLE, route.table);
  put(message, RTA_OIF, loopback_index);
  return message;
}

std::uint32_t number(const nlattr* attribute) { return attribute == nullptr ? 0 : nla_get_u32(attribute); }

// "from" one address and one port, over TCP; nothing where the rule says less, or something else.
std::optional<Endpoint> source_of(const fib_rule_hdr& header, nlattr* const* attributes) {
  const nlattr* const address = attributes[FRA_SRC];
  const nlattr* const ports = attributes[FRA_SPORT_RANGE];
  if (address == nullptr || ports == nullptr || nla_len(ports) != sizeof(fib_rule_port_range)) return std::nullopt;
  if (attributes[FRA_IP_PROTO] == nullptr || nla_get_u8(attributes[FRA_IP_PROTO]) != IPPROTO_TCP) return std::nullopt;
  fib_rule_port_range range{};
  std::memcpy(&range, nla_data(ports), sizeof range);
  const Address from = Address::from_bytes(header.family, nla_data(address));
  if (range.start != range.end || header.src_len != from.bits()) return std::nullopt;
  return Endpoint{from, range.start};
}

FibRule rule_of(const NetlinkAnswer& answer) {
  const auto* const header = static_cast<const fib_rule_hdr*>(nlmsg_data(answer.message()));
  nlattr* attributes[FRA_MAX + 1] = {};
  nlmsg_parse(answer.message(), sizeof *header, attributes, FRA_MAX, nullptr);
  FibRule rule;
  rule.family = header->family;
  rule.priority = number(attributes[FRA_PRIORITY]);
  rule.from = source_of(*header, attributes);
  if (attributes[FRA_IIFNAME] != nullptr) rule.interface = nla_get_string(attributes[FRA_IIFNAME]);
  rule.mark = {number(attributes[FRA_FWMARK]), number(attributes[FRA_FWMASK])};
  rule.action = header->action == FR_ACT_GOTO ? FibRule::Action::go_to : FibRule::Action::lookup;
  rule.target = number(attributes[header->action == FR_ACT_GOTO ? FRA_GOTO : FRA_TABLE]);
  rule.protocol = attributes[FRA_PROTOCOL] == nullptr ? byte(0) : nla_get_u8(attributes[FRA_PROTOCOL]);
  return rule;
}

FibRoute route_of(const NetlinkAnswer& answer) {
  const auto* const header = static_cast<const rtmsg*>(nlmsg_data(answer.message()));
  nlattr* attributes[RTA_MAX + 1] = {};
  nlmsg_parse(answer.message(), sizeof *header, attributes, RTA_MAX, nullptr);
  return {.family = header->rtm_family, .table = number(attributes[RTA_TABLE]), .protocol = header->rtm_protocol};
}

Fib::Way way_of(const NetlinkAnswer& answer) {
  const auto* const header = static_cast<const rtmsg*>(nlmsg_data(answer.message()));
  nlattr* attributes[RTA_MAX + 1] = {};
  nlmsg_parse(answer.message(), sizeof *header, attributes, RTA_MAX, nullptr);
  Fib::Way way{.is_here = header->rtm_type == RTN_LOCAL, .table = number(attributes[RTA_TABLE])};
  char name[IF_NAMESIZE] = {};
  if (if_indextoname(number(attributes[RTA_OIF]), name) != nullptr) way.interface = name;
  if (attributes[RTA_GATEWAY] != nullptr)
    way.via = Address::from_bytes(header->rtm_family, nla_data(attributes[RTA_GATEWAY]));
  return way;
}

bool delivers_everything(const NetlinkAnswer& answer) {
  const auto* const header = static_cast<const rtmsg*>(nlmsg_data(answer.message()));
  return header->rtm_type == RTN_LOCAL && header->rtm_dst_len == 0;
}

// The kernel filters by what is not zero.
Result<std::vector<NetlinkAnswer>> dump_routes(Netlink& netlink, int family, std::uint32_t table,
                                               std::uint8_t protocol) {
  rtmsg header{};
  header.rtm_family = byte(family);
  header.rtm_protocol = protocol;
  const NetlinkMessage request = netlink_message(RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, &header, sizeof header);
  if (table != 0) put(request, RTA_TABLE, table);
  auto answers = netlink.ask("RTM_GETROUTE", request);
  if (!answers && answers.error().code == ENOENT) return std::vector<NetlinkAnswer>{};  // no such table
  if (!answers) return failure_in(fmt::format("list {} routes", family_name(family)), answers);
  return answers;
}

Result<> change(Netlink& netlink, std::string_view name, const NetlinkMessage& request, const std::string& text) {
  const auto answers = netlink.ask(name, request);
  if (!answers) return failure_in("ip " + text, answers);
  return {};
}

// ENOENT: no such rule. ESRCH: no such route.
Result<> unless_gone(Result<> result) {
  if (!result && (result.error().code == ENOENT || result.error().code == ESRCH)) return {};
  return result;
}

// "ip -4 rule add ..." -> "ip -4 rule del ..."
std::string deletion(std::string text) { return text.replace(text.find(" add "), 5, " del "); }

}  // namespace

Result<Fib> Fib::open() {
  Result<Netlink> netlink = Netlink::open(NETLINK_ROUTE);
  if (!netlink) return std::unexpected(netlink.error());
  return Fib(std::move(*netlink));
}

Result<> Fib::add(const FibRule& rule) {
  return change(netlink_, "RTM_NEWRULE", rule_message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule), rule.text());
}

Result<> Fib::add(const FibRoute& route) {
  return change(netlink_, "RTM_NEWROUTE", route_message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route), route.text());
}

Result<> Fib::remove(const FibRule& rule) {
  return unless_gone(change(netlink_, "RTM_DELRULE", rule_message(RTM_DELRULE, 0, rule), deletion(rule.text())));
}

Result<> Fib::remove(const FibRoute& route) {
  return unless_gone(change(netlink_, "RTM_DELROUTE", route_message(RTM_DELROUTE, 0, route), deletion(route.text())));
}

Result<std::vector<FibRule>> Fib::rules(int family) {
  fib_rule_hdr header{};
  header.family = byte(family);
  const auto answers =
      netlink_.ask("RTM_GETRULE", netlink_message(RTM_GETRULE, NLM_F_REQUEST | NLM_F_DUMP, &header, sizeof header));
  if (!answers) return failure_in(fmt::format("list {} fib rules", family_name(family)), answers);
  std::vector<FibRule> rules;
  for (const NetlinkAnswer& answer : *answers) rules.push_back(rule_of(answer));
  return rules;
}

Result<std::vector<FibRoute>> Fib::routes(int family, std::uint32_t table) {
  const auto answers = dump_routes(netlink_, family, table, 0);
  if (!answers) return std::unexpected(answers.error());
  std::vector<FibRoute> routes;
  for (const NetlinkAnswer& answer : *answers) routes.push_back(route_of(answer));
  return routes;
}

Result<std::vector<FibRoute>> Fib::our_routes(int family, std::uint8_t protocol) {
  const auto answers = dump_routes(netlink_, family, 0, protocol);
  if (!answers) return std::unexpected(answers.error());
  std::vector<FibRoute> routes;
  for (const NetlinkAnswer& answer : *answers)
    if (delivers_everything(answer)) routes.push_back(route_of(answer));
  return routes;
}

std::string Fib::Query::text() const {
  std::string text = "ip route get " + destination.text();
  if (!interface.empty()) text += fmt::format(" from {} iif {}", source.text(), interface);
  return mark.bits == 0 ? text : fmt::format("{} mark 0x{:x}", text, mark.bits);
}

Result<Fib::Way> Fib::way(const Query& query) {
  rtmsg header{};
  header.rtm_family = byte(query.destination.family());
  header.rtm_dst_len = byte(query.destination.bits());
  // IPv6 tells the table in any case, and refuses the flag.
  if (query.destination.family() == AF_INET) header.rtm_flags = RTM_F_LOOKUP_TABLE;
  if (!query.interface.empty()) header.rtm_src_len = byte(query.source.bits());
  const NetlinkMessage request = netlink_message(RTM_GETROUTE, NLM_F_REQUEST, &header, sizeof header);
  put(request, RTA_DST, query.destination);
  if (!query.interface.empty()) {
    const unsigned int interface = if_nametoindex(query.interface.c_str());
    if (interface == 0) return errno_failure(fmt::format("interface {}", query.interface), errno);
    put(request, RTA_SRC, query.source);
    put(request, RTA_IIF, interface);
  }
  put(request, RTA_MARK, query.mark.bits);
  const auto answers = netlink_.ask("RTM_GETROUTE", request);
  if (!answers) return failure_in(query.text(), answers);
  return answers->empty() ? Way() : way_of(answers->front());
}

Result<bool> Fib::is_delivered_locally(const Query& query) {
  const Result<Way> found = way(query);
  if (!found) return std::unexpected(found.error());
  return found->is_here;
}

}  // namespace limpid
