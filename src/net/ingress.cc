// SPDX-License-Identifier: MIT
#include "net/ingress.h"

#include <linux/if_ether.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "net/netlink.h"

namespace limpid {
namespace {

constexpr std::uint32_t ingress_handle = 0xffff0000;

// One key of u32: a word of the packet, from the network header on, and what it must be.
struct Match {
  std::uint16_t ethertype;
  std::uint32_t mask, value;  // in host order
  int offset;
};
// The third byte of IPv6's second word is the protocol (RFC 8200, section 3).
constexpr std::array<Match, 3> matches{{{ETH_P_IP, 0, 0, 0},
                                        {ETH_P_IPV6, 0x0000ff00, IPPROTO_TCP << 8, 4},
                                        {ETH_P_IPV6, 0x0000ff00, IPPROTO_UDP << 8, 4}}};

class Nest {
 public:
  Nest(const NetlinkMessage& message, int type) : message_(message), start_(nla_nest_start(message.get(), type)) {
    CHECK(start_ != nullptr);
  }
  ~Nest() { nla_nest_end(message_.get(), start_); }
  Nest(const Nest&) = delete;
  Nest& operator=(const Nest&) = delete;

 private:
  const NetlinkMessage& message_;
  nlattr* start_;
};

Result<> ask(Netlink& netlink, std::string_view name, const NetlinkMessage& request) {
  const auto answer = netlink.ask(name, request);
  if (!answer) return std::unexpected(answer.error());
  return {};
}

NetlinkMessage qdisc(int interface) {
  tcmsg header{};
  header.tcm_ifindex = interface;
  header.tcm_parent = TC_H_INGRESS;
  header.tcm_handle = ingress_handle;
  NetlinkMessage message =
      netlink_message(RTM_NEWQDISC, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL, &header, sizeof header);
  CHECK(nla_put_string(message.get(), TCA_KIND, "ingress") == 0);
  return message;
}

void add_options(const NetlinkMessage& message, int as, const Match& match) {
  const Nest options(message, TCA_OPTIONS);
  alignas(tc_u32_sel) std::array<std::byte, sizeof(tc_u32_sel) + sizeof(tc_u32_key)> selector{};
  tc_u32_sel head{};
  head.flags = TC_U32_TERMINAL;
  head.nkeys = 1;
  tc_u32_key key{};
  key.mask = htonl(match.mask);
  key.val = htonl(match.value);
  key.off = match.offset;
  std::memcpy(selector.data(), &head, sizeof head);
  std::memcpy(selector.data() + sizeof head, &key, sizeof key);
  CHECK(nla_put(message.get(), TCA_U32_SEL, static_cast<int>(selector.size()), selector.data()) == 0);
  const Nest actions(message, TCA_U32_ACT);
  const Nest first(message, 1);
  CHECK(nla_put_string(message.get(), TCA_ACT_KIND, "mirred") == 0);
  const Nest action(message, TCA_ACT_OPTIONS);
  tc_mirred how{};
  how.action = TC_ACT_STOLEN;
  how.eaction = TCA_INGRESS_REDIR;
  how.ifindex = static_cast<std::uint32_t>(as);
  CHECK(nla_put(message.get(), TCA_MIRRED_PARMS, sizeof how, &how) == 0);
}

NetlinkMessage filter(int interface, int as, const Match& match, std::uint32_t priority) {
  tcmsg header{};
  header.tcm_ifindex = interface;
  header.tcm_parent = ingress_handle;
  header.tcm_info = TC_H_MAKE(priority << 16, htons(match.ethertype));
  NetlinkMessage message =
      netlink_message(RTM_NEWTFILTER, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL, &header, sizeof header);
  CHECK(nla_put_string(message.get(), TCA_KIND, "u32") == 0);
  add_options(message, as, match);
  return message;
}

}  // namespace

Result<> receive_as(const std::string& from, const std::string& as) {
  const auto here = static_cast<int>(::if_nametoindex(from.c_str()));
  if (here == 0) return errno_failure("interface " + from, errno);
  const auto there = static_cast<int>(::if_nametoindex(as.c_str()));
  if (there == 0) return errno_failure("interface " + as, errno);
  Result<Netlink> netlink = Netlink::open(NETLINK_ROUTE);
  if (!netlink) return std::unexpected(netlink.error());
  if (Result<> added = ask(*netlink, "RTM_NEWQDISC", qdisc(here)); !added) return failure_in("tc qdisc ingress", added);
  std::uint32_t priority = 0;
  for (const Match& match : matches)
    if (Result<> added = ask(*netlink, "RTM_NEWTFILTER", filter(here, there, match, ++priority)); !added)
      return failure_in("tc filter u32, mirred", added);
  return {};
}

}  // namespace limpid
