// SPDX-License-Identifier: MIT
#include "intercept/nft_trace.h"

// clang-format off: after <netinet/in.h> the kernel's own header leaves out what both define.
#include <netinet/in.h>
#include <linux/netfilter.h>
// clang-format on
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "net/libnl.h"
#include "net/traces.h"

namespace limpid {
namespace {

std::string string_of(const nlattr* attribute) { return attribute == nullptr ? "" : nla_get_string(attribute); }

std::string verdict_name(std::uint32_t code, const std::string& chain) {
  switch (static_cast<int>(code)) {
    case NF_ACCEPT:
      return "accept";
    case NF_DROP:
      return "drop";
    case NF_STOLEN:
      return "taken away";
    case NF_QUEUE:
      return "queue";
    case NFT_CONTINUE:
      return "continue";
    case NFT_RETURN:
      return "return";
    case NFT_JUMP:
      return "jump " + chain;
    case NFT_GOTO:
      return "goto " + chain;
    default:
      return fmt::format("verdict {}", static_cast<int>(code));
  }
}

std::string verdict_of(nlattr* attribute) {
  if (attribute == nullptr) return {};
  nlattr* parts[NFTA_VERDICT_MAX + 1] = {};
  nla_parse_nested(parts, NFTA_VERDICT_MAX, attribute, nullptr);
  return verdict_name(be32_of(parts[NFTA_VERDICT_CODE]), string_of(parts[NFTA_VERDICT_CHAIN]));
}

TraceEvent event_of(nlmsghdr* message) {
  nlattr* attributes[NFTA_TRACE_MAX + 1] = {};
  nlmsg_parse(message, sizeof(nfgenmsg), attributes, NFTA_TRACE_MAX, nullptr);
  TraceEvent event;
  event.packet = be32_of(attributes[NFTA_TRACE_ID]);
  event.family = nft_family_name(static_cast<const nfgenmsg*>(nlmsg_data(message))->nfgen_family);
  event.table = string_of(attributes[NFTA_TRACE_TABLE]);
  event.chain = string_of(attributes[NFTA_TRACE_CHAIN]);
  event.handle = be64_of(attributes[NFTA_TRACE_RULE_HANDLE]);
  event.mark = be32_of(attributes[NFTA_TRACE_MARK]);
  switch (be32_of(attributes[NFTA_TRACE_TYPE])) {
    case NFT_TRACETYPE_POLICY:
      event.kind = TraceEvent::Kind::policy;
      event.verdict = verdict_name(be32_of(attributes[NFTA_TRACE_POLICY]), "");
      break;
    case NFT_TRACETYPE_RETURN:
      event.kind = TraceEvent::Kind::returned;
      break;
    default:
      event.verdict = verdict_of(attributes[NFTA_TRACE_VERDICT]);
  }
  return event;
}

}  // namespace

Result<NftTrace> NftTrace::open() {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
  if (!fd.is_open()) return errno_failure("open a netlink socket", errno);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (::bind(fd.raw(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return errno_failure("bind a netlink socket", errno);
  const unsigned int group = NFNLGRP_NFTRACE;
  if (::setsockopt(fd.raw(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0)
    return errno_failure("follow nftables' traces", errno);
  return NftTrace(std::move(fd));
}

Result<std::vector<TraceEvent>> NftTrace::read(const std::function<bool(const TraceEvent&)>& is_last,
                                               std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  std::vector<TraceEvent> events;
  alignas(nlmsghdr) std::array<char, 64 * 1024> buffer;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    pollfd waiting{fd_.raw(), POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(std::max<long>(left, 0))) == 0) return events;
    const ssize_t size = ::recv(fd_.raw(), buffer.data(), buffer.size(), 0);
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size < 0) return errno_failure("read nftables' traces", errno);
    int rest = static_cast<int>(size);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); nlmsg_ok(message, rest);
         message = nlmsg_next(message, &rest)) {
      if (message->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_TRACE)) continue;
      events.push_back(event_of(message));
      if (is_last(events.back())) return events;
    }
  }
}

}  // namespace limpid
