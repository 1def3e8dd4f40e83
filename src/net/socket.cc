// SPDX-License-Identifier: MIT
#include "net/socket.h"

#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <vector>

#include "base/check.h"

namespace limpid {
namespace {

struct Option {
  int level;
  int name;
  int value;
};

int set_option(int fd, const Option& option) {
  return ::setsockopt(fd, option.level, option.name, &option.value, sizeof option.value) == 0 ? 0 : errno;
}

int set_linger(int fd, bool on) {
  const linger reset_on_close{.l_onoff = on ? 1 : 0, .l_linger = 0};
  return ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset_on_close, sizeof reset_on_close) == 0 ? 0 : errno;
}

Option transparent(int family) {
  return family == AF_INET ? Option{SOL_IP, IP_TRANSPARENT, 1} : Option{SOL_IPV6, IPV6_TRANSPARENT, 1};
}

int set_all(int fd, std::span<const Option> options) {
  for (const Option& option : options)
    if (const int refusal = set_option(fd, option)) return refusal;
  return 0;
}

// What both legs of a session have in common; 0 or errno.
int set_stream_options(int fd) {
  constexpr Option options[] = {{SOL_SOCKET, SO_REUSEADDR, 1},  // a TIME_WAIT on the kept 4-tuple must not stop bind(2)
                                {SOL_SOCKET, SO_OOBINLINE, 1},
                                {SOL_SOCKET, SO_KEEPALIVE, 1},
                                {IPPROTO_TCP, TCP_NODELAY, 1}};
  if (const int refusal = set_all(fd, options)) return refusal;
  return set_linger(fd, true);
}

// The same where they stand at anybody's address.
int set_leg_options(int fd, int family, Mark mark) {
  const Option options[] = {{SOL_SOCKET, SO_MARK, static_cast<int>(mark.bits)}, transparent(family)};
  if (const int refusal = set_all(fd, options)) return refusal;
  return set_stream_options(fd);
}

// An IPv6 one is for IPv6 alone, so that both families can be told apart by their sockets.
Result<Fd> bound_socket(const Endpoint& at, const std::string& context, std::span<const Option> options) {
  Fd fd(::socket(at.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return errno_failure(context + ": socket", errno);
  if (const int refusal = set_all(fd.raw(), options)) return errno_failure(context + ": setsockopt", refusal);
  if (at.family() == AF_INET6)
    if (const int refusal = set_option(fd.raw(), {SOL_IPV6, IPV6_V6ONLY, 1}))
      return errno_failure(context + ": IPV6_V6ONLY", refusal);
  if (const int refusal = bind_to(fd.raw(), at)) return errno_failure(context + ": bind", refusal);
  return fd;
}

constexpr int fast_open_queue = 32;   // connections whose handshake is not over yet
constexpr int silent_for = 32;        // seconds
constexpr int longest_queue = 65535;  // the kernel caps it at net.core.somaxconn

}  // namespace

Result<Fd> listen_transparent(const Endpoint& at, Mark mark) {
  const std::string context = "listen on " + at.text();
  Fd fd(::socket(at.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return errno_failure(context + ": socket", errno);
  if (const int refusal = set_leg_options(fd.raw(), at.family(), mark))
    return errno_failure(context + ": setsockopt", refusal);
  const bool v4 = at.family() == AF_INET;
  const Option options[] = {{SOL_SOCKET, SO_REUSEPORT, 1},
                            v4 ? Option{SOL_IP, IP_PKTINFO, 1} : Option{SOL_IPV6, IPV6_2292PKTINFO, 1}};
  for (const Option& option : options)
    if (const int refusal = set_option(fd.raw(), option)) return errno_failure(context + ": setsockopt", refusal);
  if (!v4)
    if (const int refusal = set_option(fd.raw(), {SOL_IPV6, IPV6_V6ONLY, 1}))
      return errno_failure(context + ": IPV6_V6ONLY", refusal);
  if (const int refusal = bind_to(fd.raw(), at)) return errno_failure(context + ": bind", refusal);
  if (::listen(fd.raw(), longest_queue) != 0) return errno_failure(context, errno);
  return fd;
}

Result<> expect_free(const Endpoint& at) {
  const std::string context = "listen on " + at.text();
  constexpr Option options[] = {{SOL_SOCKET, SO_REUSEADDR, 1}};
  const Result<Fd> fd = bound_socket(at, context, options);
  if (!fd) return std::unexpected(fd.error());
  if (::listen(fd->raw(), 1) != 0) return errno_failure(context, errno);
  return {};
}

Result<Fd> listen_as_service(const Endpoint& at, const ServiceOptions& options) {
  const std::string context = "listen on " + at.text();
  std::vector<Option> wanted = {{SOL_SOCKET, SO_REUSEADDR, 1}, {SOL_SOCKET, SO_REUSEPORT, 1}};
  if (options.transparent) wanted.push_back(transparent(at.family()));
  if (options.fast_open) {
    wanted.push_back({IPPROTO_TCP, TCP_FASTOPEN, fast_open_queue});
    wanted.push_back({IPPROTO_TCP, TCP_DEFER_ACCEPT, silent_for});
  }
  Result<Fd> fd = bound_socket(at, context, wanted);
  if (!fd) return fd;
  if (const int refusal = set_stream_options(fd->raw())) return errno_failure(context + ": setsockopt", refusal);
  if (::listen(fd->raw(), longest_queue) != 0) return errno_failure(context, errno);
  return fd;
}

Result<Endpoint> local_endpoint(int fd) {
  sockaddr_storage storage;
  socklen_t length = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0)
    return errno_failure("getsockname", errno);
  if (storage.ss_family != AF_INET && storage.ss_family != AF_INET6) return failure("getsockname: not an IP socket");
  return Endpoint::from_sockaddr(storage);
}

bool is_listening(int fd) {
  int value = 0;
  socklen_t length = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) == 0 && value != 0;
}

std::expected<Accepted, int> accept_client(int listener) {
  sockaddr_storage storage;
  socklen_t length = sizeof storage;
  Fd fd(::accept4(listener, reinterpret_cast<sockaddr*>(&storage), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd.is_open()) return std::unexpected(errno);
  const Endpoint client = Endpoint::from_sockaddr(storage);
  length = sizeof storage;
  if (::getsockname(fd.raw(), reinterpret_cast<sockaddr*>(&storage), &length) != 0) return std::unexpected(errno);
  return Accepted{std::move(fd), client, Endpoint::from_sockaddr(storage)};
}

int give_mark(int fd, Mark mark) { return set_option(fd, {SOL_SOCKET, SO_MARK, static_cast<int>(mark.bits)}); }

bool is_own_address(const Address& address) {
  // To itself a machine speaks from the same address, or from the loopback one; to a secondary address of IPv4 only if
  // told to. That bind(2) takes the address tells nothing (net.ipv4.ip_nonlocal_bind), but connect(2) then refuses it.
  constexpr std::uint16_t any_port = 9;
  const Fd fd(::socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.is_open() || (address.family() == AF_INET && bind_to(fd.raw(), {address, 0}) != 0)) return false;
  if (start_connect(fd.raw(), {address, any_port}) != 0) return false;
  const Result<Endpoint> source = local_endpoint(fd.raw());
  return source && (source->address == address || source->address == Address::loopback(address.family()));
}

bool is_from_loopback(int accepted_fd, int family) {
  // A TCP socket remembers the interface of its SYN and tells it as "packet options" (net/ipv4/ip_sockglue.c,
  // IP_PKTOPTIONS; net/ipv6/ipv6_sockglue.c, IPV6_2292PKTOPTIONS). The loopback interface has index 1 in every
  // namespace.
  constexpr int loopback_index = 1;
  alignas(cmsghdr) char control[256];
  socklen_t length = sizeof control;
  const bool v4 = family == AF_INET;
  if (::getsockopt(accepted_fd, v4 ? SOL_IP : SOL_IPV6, v4 ? IP_PKTOPTIONS : IPV6_2292PKTOPTIONS, control, &length) !=
      0)
    return false;
  msghdr message{};
  message.msg_control = control;
  message.msg_controllen = length;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (v4 && header->cmsg_level == SOL_IP && header->cmsg_type == IP_PKTINFO)
      return reinterpret_cast<const in_pktinfo*>(CMSG_DATA(header))->ipi_ifindex == loopback_index;
    if (!v4 && header->cmsg_level == SOL_IPV6 && header->cmsg_type == IPV6_2292PKTINFO)
      return reinterpret_cast<const in6_pktinfo*>(CMSG_DATA(header))->ipi6_ifindex == loopback_index;
  }
  return false;
}

std::expected<Fd, int> upstream_socket(int family, Mark mark) {
  Fd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return std::unexpected(errno);
  if (const int refusal = set_leg_options(fd.raw(), family, mark)) return std::unexpected(refusal);
  return fd;
}

std::expected<Fd, int> datagram_socket(int family, Mark mark) {
  Fd fd(::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return std::unexpected(errno);
  if (const int refusal = set_option(fd.raw(), {SOL_SOCKET, SO_MARK, static_cast<int>(mark.bits)}))
    return std::unexpected(refusal);
  return fd;
}

std::expected<Fd, int> spoofing_datagram_socket(const Endpoint& at, Mark mark, bool may_be_fragmented) {
  std::expected<Fd, int> fd = datagram_socket(at.family(), mark);
  if (!fd) return fd;
  // "Probe": DF, whatever the kernel knows of the path.
  const Option fragment =
      at.family() == AF_INET
          ? Option{SOL_IP, IP_MTU_DISCOVER, may_be_fragmented ? IP_PMTUDISC_DONT : IP_PMTUDISC_PROBE}
          : Option{SOL_IPV6, IPV6_MTU_DISCOVER, may_be_fragmented ? IPV6_PMTUDISC_DONT : IPV6_PMTUDISC_PROBE};
  for (const Option& option : {transparent(at.family()), Option{SOL_SOCKET, SO_REUSEADDR, 1}, fragment})
    if (const int refusal = set_option(fd->raw(), option)) return std::unexpected(refusal);
  if (const int refusal = bind_to(fd->raw(), at)) return std::unexpected(refusal);
  return fd;
}

int make_transparent(int fd, int family) { return set_option(fd, transparent(family)); }

int bind_to(int fd, const Endpoint& at) {
  sockaddr_storage storage;
  const socklen_t length = at.to_sockaddr(storage);
  return ::bind(fd, reinterpret_cast<sockaddr*>(&storage), length) == 0 ? 0 : errno;
}

int bind_source(int fd, const Endpoint& source) {
  if (source.port == 0)
    if (const int refusal = set_option(fd, {SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1})) return refusal;
  return bind_to(fd, source);
}

int bind_foreign_source(int fd, const Endpoint& source) {
  if (const int refusal = make_transparent(fd, source.family())) return refusal;
  int type = 0;
  socklen_t length = sizeof type;
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0) return errno;
  if (source.port != 0 && type == SOCK_STREAM)
    if (const int refusal = set_option(fd, {SOL_SOCKET, SO_REUSEADDR, 1})) return refusal;
  return bind_source(fd, source);
}

int start_connect(int fd, const Endpoint& destination) {
  sockaddr_storage storage;
  const socklen_t length = destination.to_sockaddr(storage);
  return ::connect(fd, reinterpret_cast<sockaddr*>(&storage), length) == 0 ? 0 : errno;
}

int start_connect_with(int fd, const Endpoint& destination, std::span<const char> first, std::size_t& taken) {
  taken = 0;
  sockaddr_storage storage;
  const socklen_t length = destination.to_sockaddr(storage);
  const ssize_t n = ::sendto(fd, first.data(), first.size(), MSG_FASTOPEN | MSG_NOSIGNAL,
                             reinterpret_cast<const sockaddr*>(&storage), length);
  if (n < 0 && errno == EOPNOTSUPP) return start_connect(fd, destination);  // net.ipv4.tcp_fastopen has it off
  if (n < 0) return errno;
  taken = static_cast<std::size_t>(n);
  return EINPROGRESS;
}

int pending_error(int fd) {
  int value = 0;
  socklen_t length = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &length) == 0 ? value : errno;
}

std::uint64_t dropped_datagrams(int fd) {
  std::uint32_t figures[SK_MEMINFO_VARS] = {};
  socklen_t length = sizeof figures;
  return ::getsockopt(fd, SOL_SOCKET, SO_MEMINFO, figures, &length) == 0 ? figures[SK_MEMINFO_DROPS] : 0;
}

void keep_asking(int fd, const KeepAlive& how) {
  for (const Option& option : {Option{IPPROTO_TCP, TCP_KEEPIDLE, static_cast<int>(how.idle.count())},
                               {IPPROTO_TCP, TCP_KEEPINTVL, static_cast<int>(how.interval.count())},
                               {IPPROTO_TCP, TCP_KEEPCNT, how.probes}})
    CHECK(set_option(fd, option) == 0);
}

void close_in_order(Fd fd) {
  if (fd.is_open()) CHECK(set_linger(fd.raw(), false) == 0);
}

}  // namespace limpid
