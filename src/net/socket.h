// SPDX-License-Identifier: MIT
// TCP sockets that stand at addresses which are not this machine's (IP_TRANSPARENT, ip(7)), and what they know of
// their two ends. The calls on the path of a connection return a plain errno: it decides there, nobody reads it.
#pragma once
#include <sys/socket.h>

#include <chrono>
#include <expected>
#include <span>

#include "base/fd.h"
#include "base/result.h"
#include "net/address.h"

namespace limpid {

// A listening, non-blocking, transparent socket in an SO_REUSEPORT group; port 0 takes a free one. The options that
// every accepted socket needs are set here, for accept(2) hands them on: the mark, SO_LINGER {1,0} (a process that dies
// sends a reset, never an end of file that would pass for the end of the data), TCP_NODELAY, SO_OOBINLINE,
// SO_KEEPALIVE, and IP_PKTINFO (is_from_loopback). Needs CAP_NET_ADMIN or CAP_NET_RAW.
[[nodiscard]] Result<Fd> listen_transparent(const Endpoint& at, Mark mark);

// The same for a service of this machine's own: neither marked nor transparent unless so told, and refused where
// somebody listens already. `fast_open`: data may come with the SYN (RFC 7413), and what has said nothing is kept from
// accept(2) for half a minute (TCP_DEFER_ACCEPT, tcp(7)).
struct ServiceOptions {
  bool transparent = false;
  bool fast_open = false;
  bool operator==(const ServiceOptions&) const = default;
};
[[nodiscard]] Result<Fd> listen_as_service(const Endpoint& at, const ServiceOptions& options);
// Does nobody listen there yet? The sockets of a group (SO_REUSEPORT) do not refuse another of the same user's.
[[nodiscard]] Result<> expect_free(const Endpoint& at);

[[nodiscard]] Result<Endpoint> local_endpoint(int fd);

// Does the socket listen (SO_ACCEPTCONN)?
[[nodiscard]] bool is_listening(int fd);

struct Accepted {
  Fd fd;
  Endpoint client;
  Endpoint
      destination;  // where the client meant to go: getsockname(2) of a transparent socket, never conntrack's answer
};
// accept4(2), non-blocking. Errno otherwise.
[[nodiscard]] std::expected<Accepted, int> accept_client(int listener);

// 0 or errno. Needs CAP_NET_RAW or CAP_NET_ADMIN.
[[nodiscard]] int give_mark(int fd, Mark mark);

// Is it an address of this machine, or one that stands for it?
[[nodiscard]] bool is_own_address(const Address& address);

// Did the connection come over the loopback interface, that is: did this machine open it itself?
[[nodiscard]] bool is_from_loopback(int accepted_fd, int family);

// A non-blocking socket for a connection to an upstream, marked and with the options of listen_transparent(); it may
// bind foreign addresses. Needs CAP_NET_RAW.
[[nodiscard]] std::expected<Fd, int> upstream_socket(int family, Mark mark);

// A marked, non-blocking UDP socket.
[[nodiscard]] std::expected<Fd, int> datagram_socket(int family, Mark mark);

// A UDP socket for sending in anybody's name from that port, with DF set or clear. Needs CAP_NET_RAW, and
// CAP_NET_BIND_SERVICE for ports below 1024.
[[nodiscard]] std::expected<Fd, int> spoofing_datagram_socket(const Endpoint& at, Mark mark, bool may_be_fragmented);

// Lets a socket stand at addresses that are not this machine's (IP_TRANSPARENT, ip(7)); 0 or errno. Needs CAP_NET_RAW
// or CAP_NET_ADMIN.
[[nodiscard]] int make_transparent(int fd, int family);

// bind(2); 0 or errno. Port 0: the kernel chooses one now.
[[nodiscard]] int bind_to(int fd, const Endpoint& at);

// The same for the source of a connection. With port 0 the port is chosen at connect(2), by the whole 4-tuple
// (IP_BIND_ADDRESS_NO_PORT).
[[nodiscard]] int bind_source(int fd, const Endpoint& source);
// The same for a socket of anybody's and an address of anybody's. Connections may share a port that is given
// (SO_REUSEADDR), with datagrams it is one socket's alone. Needs CAP_NET_RAW or CAP_NET_ADMIN, and CAP_NET_BIND_SERVICE
// for ports below 1024.
[[nodiscard]] int bind_foreign_source(int fd, const Endpoint& source);

// connect(2), not waiting: 0 (connected), EINPROGRESS, or the refusal.
[[nodiscard]] int start_connect(int fd, const Endpoint& destination);

// The same with the first bytes in the SYN, if the kernel has a cookie for the destination (TCP Fast Open, RFC 7413);
// `taken`: how many it will send by itself.
[[nodiscard]] int start_connect_with(int fd, const Endpoint& destination, std::span<const char> first,
                                     std::size_t& taken);

// The pending error of a socket, 0 if there is none (SO_ERROR).
[[nodiscard]] int pending_error(int fd);

// Datagrams that the kernel has dropped because the socket's buffer was full (SO_MEMINFO).
[[nodiscard]] std::uint64_t dropped_datagrams(int fd);

// How a TCP connection that is silent is asked whether its other end is still there (tcp(7)).
struct KeepAlive {
  std::chrono::seconds idle;
  std::chrono::seconds interval;
  int probes;
};
void keep_asking(int fd, const KeepAlive& how);

// Lifts the SO_LINGER {1,0} that makes close(2) a reset: before an orderly close.
void close_in_order(Fd fd);

}  // namespace limpid
