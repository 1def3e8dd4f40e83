// SPDX-License-Identifier: MIT
#include "daemon/foreign_listener.h"

#include <netinet/in.h>

#include <algorithm>

#include "daemon/start_probe.h"
#include "net/sock_diag.h"
#include "net/socket.h"

namespace limpid {
namespace {

struct WantedSocket {
  int family;
  int protocol;
  Endpoint at;

  [[nodiscard]] std::string text() const {
    return fmt::format("{} ({})", at.text(), protocol == IPPROTO_TCP ? "TCP" : "UDP");
  }
};

std::vector<WantedSocket> wanted_by(const Plan& plan) {
  std::vector<WantedSocket> all;
  for (const int family : families(plan)) {
    if (!plan.settings.tcp.empty()) all.push_back({family, IPPROTO_TCP, plan.listener(family)});
    if (!plan.settings.udp.empty()) all.push_back({family, IPPROTO_UDP, plan.listener(family)});
  }
  return all;
}

bool takes(const WaitingSocket& socket, const WantedSocket& wanted) {
  const int family = socket.at.address.family();
  return socket.protocol == wanted.protocol && socket.at.port == wanted.at.port &&
         (family == wanted.family || (family == AF_INET6 && !socket.ipv6_only));
}

Result<> look_for(const WantedSocket& wanted) {
  const auto sockets = waiting_sockets();
  if (!sockets) return std::unexpected(sockets.error());
  std::string elsewhere;
  for (const WaitingSocket& socket : *sockets) {
    if (!takes(socket, wanted)) continue;
    if (socket.at.address.is_any() || socket.at.address == wanted.at.address) {
      if (socket.is_transparent.value_or(true)) return {};
      return failure(fmt::format(
          "who listens on {} has no transparent socket (IP_TRANSPARENT), and would not be given what is intercepted: "
          "switch that on in its configuration (squid: http_port {} tproxy, haproxy: bind ... transparent)",
          wanted.text(), wanted.at.port));
    }
    elsewhere = socket.at.address.text();
  }
  if (!elsewhere.empty())
    return failure(fmt::format("nobody listens on {}, but somebody does on {}: name that with --listen {}",
                               wanted.text(), elsewhere, elsewhere));
  return failure(fmt::format("nobody listens on {}: have the proxy listen there, or leave {} out with --no-ipv{}",
                             wanted.text(), family_name(wanted.family), wanted.family == AF_INET ? 4 : 6));
}

}  // namespace

Result<> look_for_listeners(const Plan& plan) {
  for (const WantedSocket& wanted : wanted_by(plan))
    if (const Result<> found = look_for(wanted); !found) return found;
  return {};
}

boost::asio::awaitable<Result<>> probe_listener(boost::asio::io_context& io, const Plan& plan,
                                                Clock::time_point until) {
  for (const int family : families(plan)) {
    if (plan.settings.tcp.empty()) break;
    const Result<Fd> fd = open_probe(family, plan.settings.local_mark);
    if (!fd) co_return failure_in("probe", fd);
    const std::string context = fmt::format("probe of {}", family_name(family));
    if (const Result<> asked = ask_by_connecting(fd->raw(), probe_destination(family)); !asked)
      co_return failure_in(context, asked);
    Watch watch(io, fd->raw());
    if (!co_await watch.writable(until))
      co_return failure(context +
                        ": a connection of our own did not come through to the listener: a firewall or another's rules "
                        "stand in between (see `nft list ruleset` and `ip rule`)");
    if (const int refusal = pending_error(fd->raw())) co_return errno_failure(context + ": connect", refusal);
  }
  co_return Result<>{};
}

}  // namespace limpid
