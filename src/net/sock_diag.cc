// SPDX-License-Identifier: MIT
#include "net/sock_diag.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "net/netlink.h"
#include "net/socket.h"

namespace limpid {
namespace {

// TCP_NEW_SYN_RECV is not in the headers for programs: a connection whose handshake's last ACK has not come.
constexpr int tcp_new_syn_recv = 12;
constexpr std::uint32_t every_state = (1U << (tcp_new_syn_recv + 1)) - 1;
constexpr std::uint32_t all_but_listen = every_state & ~(1U << TCP_LISTEN);

// Destroying takes time, and what is just closing comes back as TIME_WAIT: look again, but not for ever.
constexpr int sweeps = 10;

// A filter program of inet_diag (inet_diag_bc_run() in net/ipv4/inet_diag.c) with one condition: the jump that lands on
// the program's end means "dump it", the one that lands a word behind it "do not".
struct MarkFilter {
  inet_diag_bc_op op;
  inet_diag_markcond condition;
};
static_assert(sizeof(MarkFilter) == 12);

struct Wanted {
  int family;
  int protocol = IPPROTO_TCP;
  Mark mark;
  std::uint32_t states;
};

// The sockets as the kernel names them, which is how it wants them named when it is to destroy them.
Result<std::vector<NetlinkAnswer>> dump(Netlink& netlink, const Wanted& wanted) {
  const Mark mark = wanted.mark;
  inet_diag_req_v2 request{};
  request.sdiag_family = static_cast<std::uint8_t>(wanted.family);
  request.sdiag_protocol = static_cast<std::uint8_t>(wanted.protocol);
  request.idiag_states = wanted.states;
  NetlinkMessage message = netlink_message(SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, &request, sizeof request);
  if (mark.mask != 0) {
    MarkFilter filter{};
    filter.op.code = INET_DIAG_BC_MARK_COND;
    filter.op.yes = sizeof filter;
    filter.op.no = sizeof filter + 4;
    filter.condition = {.mark = mark.bits, .mask = mark.mask};
    CHECK(nla_put(message.get(), INET_DIAG_REQ_BYTECODE, sizeof filter, &filter) == 0);
  }
  return netlink.ask("SOCK_DIAG_BY_FAMILY", message);
}

const inet_diag_msg& body(const NetlinkAnswer& answer) {
  return *static_cast<const inet_diag_msg*>(nlmsg_data(answer.message()));
}

TcpSocket socket_of(const NetlinkAnswer& answer) {
  const inet_diag_msg& diag = body(answer);
  nlattr* attributes[INET_DIAG_MAX + 1] = {};
  nlmsg_parse(answer.message(), sizeof(inet_diag_msg), attributes, INET_DIAG_MAX, nullptr);
  TcpSocket socket;
  socket.local = {Address::from_bytes(diag.idiag_family, diag.id.idiag_src), ntohs(diag.id.idiag_sport)};
  socket.remote = {Address::from_bytes(diag.idiag_family, diag.id.idiag_dst), ntohs(diag.id.idiag_dport)};
  socket.state = diag.idiag_state;
  if (attributes[INET_DIAG_MARK] != nullptr) socket.mark = nla_get_u32(attributes[INET_DIAG_MARK]);
  return socket;
}

WaitingSocket waiting_socket_of(const NetlinkAnswer& answer, int protocol) {
  const inet_diag_msg& diag = body(answer);
  nlattr* attributes[INET_DIAG_MAX + 1] = {};
  nlmsg_parse(answer.message(), sizeof(inet_diag_msg), attributes, INET_DIAG_MAX, nullptr);
  WaitingSocket socket;
  socket.protocol = protocol;
  socket.at = {Address::from_bytes(diag.idiag_family, diag.id.idiag_src), ntohs(diag.id.idiag_sport)};
  socket.ipv6_only = attributes[INET_DIAG_SKV6ONLY] != nullptr && nla_get_u8(attributes[INET_DIAG_SKV6ONLY]) != 0;
  if (const nlattr* const told = attributes[INET_DIAG_SOCKOPT];
      told != nullptr && nla_len(told) >= static_cast<int>(sizeof(inet_diag_sockopt))) {
    inet_diag_sockopt options{};
    std::memcpy(&options, nla_data(told), sizeof options);
    socket.is_transparent = options.transparent != 0;
  }
  socket.uid = diag.idiag_uid;
  socket.inode = diag.idiag_inode;
  return socket;
}

Result<> destroy(Netlink& netlink, const inet_diag_msg& victim) {
  inet_diag_req_v2 request{};
  request.sdiag_family = victim.idiag_family;
  request.sdiag_protocol = IPPROTO_TCP;
  request.idiag_states = 1U << victim.idiag_state;
  request.id = victim.id;
  const auto answer =
      netlink.ask("SOCK_DESTROY", netlink_message(SOCK_DESTROY, NLM_F_REQUEST, &request, sizeof request));
  if (!answer) return std::unexpected(answer.error());
  return {};
}

// What one look at a family came to.
struct Sweep {
  std::uint64_t destroyed = 0;
  std::uint64_t vanished = 0;  // ended by themselves meanwhile, or became TIME_WAIT sockets, which are others
  std::uint64_t refused = 0;
};

template <class IsWanted>
Result<Sweep> sweep(Netlink& netlink, int family, Mark mark, std::uint32_t states, const IsWanted& is_wanted) {
  const auto victims = dump(netlink, {.family = family, .mark = mark, .states = states});
  if (!victims) return std::unexpected(victims.error());
  Sweep result;
  for (const NetlinkAnswer& victim : *victims) {
    if (!is_wanted(victim)) continue;
    const Result<> outcome = destroy(netlink, body(victim));
    if (outcome)
      ++result.destroyed;
    else if (outcome.error().code == ENOENT)
      ++result.vanished;
    else if (outcome.error().code == EOPNOTSUPP)
      ++result.refused;
    else
      return std::unexpected(outcome.error());
  }
  return result;
}

}  // namespace

Result<std::vector<TcpSocket>> tcp_sockets(Mark mark) {
  Result<Netlink> netlink = Netlink::open(NETLINK_SOCK_DIAG);
  if (!netlink) return failure_in("list TCP sockets", netlink);
  std::vector<TcpSocket> sockets;
  for (const int family : {AF_INET, AF_INET6}) {
    const auto answers = dump(*netlink, {.family = family, .mark = mark, .states = all_but_listen});
    if (!answers) return failure_in(fmt::format("list {} TCP sockets", family_name(family)), answers);
    for (const NetlinkAnswer& answer : *answers) sockets.push_back(socket_of(answer));
  }
  return sockets;
}

Result<std::vector<WaitingSocket>> waiting_sockets() {
  Result<Netlink> netlink = Netlink::open(NETLINK_SOCK_DIAG);
  if (!netlink) return failure_in("list listening sockets", netlink);
  std::vector<WaitingSocket> sockets;
  for (const int protocol : {IPPROTO_TCP, IPPROTO_UDP})
    for (const int family : {AF_INET, AF_INET6}) {
      // A UDP socket that is connected to nobody is in the state "closed".
      const std::uint32_t states = 1U << (protocol == IPPROTO_TCP ? TCP_LISTEN : TCP_CLOSE);
      const auto answers = dump(*netlink, {.family = family, .protocol = protocol, .mark = {}, .states = states});
      if (!answers) return failure_in(fmt::format("list {} listening sockets", family_name(family)), answers);
      for (const NetlinkAnswer& answer : *answers) sockets.push_back(waiting_socket_of(answer, protocol));
    }
  return sockets;
}

namespace {

template <class IsWanted>
Result<Destroyed> destroy_all(Mark mark, std::uint32_t states, const IsWanted& is_wanted) {
  Result<Netlink> netlink = Netlink::open(NETLINK_SOCK_DIAG);
  if (!netlink) return failure_in("destroy TCP sockets", netlink);
  Destroyed sum;
  for (const int family : {AF_INET, AF_INET6}) {
    std::uint64_t refused = 0;
    for (int count = 0; count < sweeps; ++count) {
      const Result<Sweep> result = sweep(*netlink, family, mark, states, is_wanted);
      if (!result) return failure_in(fmt::format("destroy {} TCP sockets", family_name(family)), result);
      sum.destroyed += result->destroyed;
      refused = result->refused;
      if (result->destroyed + result->vanished == 0) break;
    }
    sum.refused_by_kernel += refused;
  }
  return sum;
}

bool is_among(const std::vector<PortRange>& ports, std::uint16_t port) {
  return std::ranges::any_of(ports, [port](PortRange range) { return range.first <= port && port <= range.last; });
}

}  // namespace

Result<Destroyed> destroy_tcp_sockets(Mark mark, Doomed doomed) {
  CHECK(mark.mask != 0);  // never everybody's
  return destroy_all(mark, doomed == Doomed::all ? all_but_listen : 1U << TCP_TIME_WAIT,
                     [](const NetlinkAnswer&) { return true; });
}

Result<Destroyed> destroy_borrowed_time_wait(const std::vector<PortRange>& ports) {
  return destroy_all({}, 1U << TCP_TIME_WAIT, [&](const NetlinkAnswer& answer) {
    const TcpSocket socket = socket_of(answer);
    return (is_among(ports, socket.local.port) || is_among(ports, socket.remote.port)) &&
           !is_own_address(socket.local.address);
  });
}

}  // namespace limpid
