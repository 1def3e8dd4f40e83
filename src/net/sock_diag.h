// SPDX-License-Identifier: MIT
// TCP sockets of this network namespace by their mark (sock_diag(7)): list them, destroy them. And who listens, over
// TCP or UDP. CAP_NET_ADMIN for marks and to destroy.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "net/address.h"

namespace limpid {

struct TcpSocket {
  Endpoint local;
  Endpoint remote;
  int state = 0;           // TCP_ESTABLISHED and so on, linux/tcp_states.h; a request socket is TCP_NEW_SYN_RECV (12)
  std::uint32_t mark = 0;  // SO_MARK; a TIME_WAIT socket tells its own too
  bool operator==(const TcpSocket&) const = default;
};

// Both families, every state but LISTEN, whose SO_MARK has the mark's bits. A mark with mask 0: all of them.
[[nodiscard]] Result<std::vector<TcpSocket>> tcp_sockets(Mark mark);

struct Destroyed {
  std::uint64_t destroyed = 0;
  std::uint64_t refused_by_kernel = 0;  // EOPNOTSUPP: some kernels cannot destroy TIME_WAIT sockets
  bool operator==(const Destroyed&) const = default;
};

enum class Doomed { all, time_wait };

// Ends them (SOCK_DESTROY): peers see a reset, programs ECONNABORTED, and nothing stays behind in TIME_WAIT. Listeners
// are left alone. A socket that ends by itself meanwhile is neither counted nor an error.
[[nodiscard]] Result<Destroyed> destroy_tcp_sockets(Mark mark, Doomed doomed = Doomed::all);

// TIME_WAIT sockets that stand at addresses which are not this machine's, to or from one of these ports: what a
// transparent proxy has left, whoever that is. Nobody misses them.
[[nodiscard]] Result<Destroyed> destroy_borrowed_time_wait(const std::vector<PortRange>& ports);

// A socket that takes what comes to its address: of TCP a listener, of UDP one that is not connected.
struct ListeningSocket {
  Endpoint local;
  bool takes_ipv4 = false;          // an IPv6 one that is not IPV6_V6ONLY
  std::optional<bool> transparent;  // IP_TRANSPARENT; nothing: this kernel does not tell
  bool operator==(const ListeningSocket&) const = default;
};
// `protocol`: IPPROTO_TCP or IPPROTO_UDP.
[[nodiscard]] Result<std::vector<ListeningSocket>> listening_sockets(int protocol, std::uint16_t port);

}  // namespace limpid
