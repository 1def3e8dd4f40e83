// SPDX-License-Identifier: MIT
// Sockets of this network namespace (sock_diag(7)): TCP's by their mark, to list or to destroy them, for which it takes
// CAP_NET_ADMIN; and those that wait for whoever comes, which anybody may ask for.
#pragma once
#include <sys/types.h>

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

// A TCP listener, or a UDP socket that is bound and connected to nobody.
struct WaitingSocket {
  int protocol = 0;  // IPPROTO_TCP or IPPROTO_UDP
  Endpoint at;
  bool ipv6_only = false;                // else [::] stands for IPv4 as well
  std::optional<bool> is_transparent{};  // nothing: the kernel does not tell (INET_DIAG_SOCKOPT, before Linux 5.10)
  uid_t uid = 0;
  std::uint32_t inode = 0;  // as in /proc/PID/fd: "socket:[INODE]"
  bool operator==(const WaitingSocket&) const = default;
};
[[nodiscard]] Result<std::vector<WaitingSocket>> waiting_sockets();

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

}  // namespace limpid
