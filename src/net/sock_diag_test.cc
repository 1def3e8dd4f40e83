// SPDX-License-Identifier: MIT
#include "net/sock_diag.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <chrono>

#include "net/fresh_namespace.h"
#include "net/socket.h"

namespace limpid {
namespace {

using ::testing::AnyOf;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr Mark ours{0x40, 0x40};
constexpr std::uint32_t both_marks = 0x50;
constexpr int tcp_new_syn_recv = 12;

struct SockDiag : FreshNamespace, ::testing::WithParamInterface<int> {
  // A family, or AF_UNSPEC: IPv6 sockets that talk IPv4 (v4-mapped addresses).
  int family = GetParam() == AF_UNSPEC ? AF_INET6 : GetParam();

  Endpoint loopback(std::uint16_t port = 0) const {
    if (GetParam() == AF_UNSPEC) return {*Address::parse("::ffff:127.0.0.1"), port};
    return {Address::loopback(family), port};
  }
  Fd socket_with(std::uint32_t mark) const {
    Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int off = 0;
    if (family == AF_INET6) setsockopt(fd.raw(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    EXPECT_EQ(setsockopt(fd.raw(), SOL_SOCKET, SO_MARK, &mark, sizeof mark), 0);
    return fd;
  }
  Fd listener_with(std::uint32_t mark, int backlog = 8) const {
    Fd fd = socket_with(mark);
    sockaddr_storage storage{};
    const socklen_t size = loopback().to_sockaddr(storage);
    EXPECT_EQ(bind(fd.raw(), reinterpret_cast<sockaddr*>(&storage), size), 0);
    EXPECT_EQ(listen(fd.raw(), backlog), 0);
    return fd;
  }
  Fd connection_to(const Fd& listener, std::uint32_t mark) const {
    Fd fd = socket_with(mark);
    sockaddr_storage storage{};
    const socklen_t size = loopback(local_endpoint(listener.raw())->port).to_sockaddr(storage);
    EXPECT_EQ(connect(fd.raw(), reinterpret_cast<sockaddr*>(&storage), size), 0);
    return fd;
  }
  static Fd accept_from(const Fd& listener) { return Fd(accept4(listener.raw(), nullptr, nullptr, SOCK_CLOEXEC)); }
};
INSTANTIATE_TEST_SUITE_P(, SockDiag, ::testing::Values(AF_INET, AF_INET6, AF_UNSPEC), [](const auto& parameter) {
  return parameter.param == AF_UNSPEC ? "Mapped" : std::string(family_name(parameter.param));
});

TEST_P(SockDiag, DestroysWhatCarriesTheMarkButNoListenerAndNobodyElses) {
  const Fd our_listener = listener_with(both_marks);
  const Fd other_listener = listener_with(0x10);
  const Fd to_us = connection_to(our_listener, 0);
  const Fd accepted = accept_from(our_listener);
  const Fd other = connection_to(other_listener, 0x10);
  const Fd other_accepted = accept_from(other_listener);
  ASSERT_THAT(*tcp_sockets(ours), SizeIs(1));
  EXPECT_EQ(tcp_sockets(ours)->at(0).local.port, local_endpoint(our_listener.raw())->port);
  EXPECT_EQ(tcp_sockets(ours)->at(0).remote.port, local_endpoint(to_us.raw())->port);
  EXPECT_THAT(*tcp_sockets({}), SizeIs(4));

  EXPECT_EQ(*destroy_tcp_sockets(ours), (Destroyed{.destroyed = 1, .refused_by_kernel = 0}));
  EXPECT_THAT(*tcp_sockets(ours), IsEmpty());
  EXPECT_EQ(pending_error(accepted.raw()), ECONNABORTED);
  EXPECT_EQ(pending_error(to_us.raw()), ECONNRESET);
  EXPECT_EQ(pending_error(other.raw()), 0);
  EXPECT_EQ(pending_error(other_accepted.raw()), 0);
  EXPECT_TRUE(is_listening(our_listener.raw()));
  EXPECT_EQ(*destroy_tcp_sockets(ours), Destroyed{});
}

TEST_P(SockDiag, DestroysWhatIsInTimeWaitAndWhatWaitsForAFin) {
  const Fd listener = listener_with(both_marks);
  {
    Fd client = connection_to(listener, 0);
    Fd accepted = accept_from(listener);
    shutdown(accepted.raw(), SHUT_WR);  // first: TIME_WAIT is on this side
    client.close();
  }
  const Fd half_closed_client = connection_to(listener, 0);
  accept_from(listener).close();  // an orphan
  // A listing may catch a socket on its way to TIME_WAIT, with neither its state nor its port any more.
  const auto settled = UnorderedElementsAre(TCP_TIME_WAIT, AnyOf(TCP_FIN_WAIT1, TCP_FIN_WAIT2));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  std::vector<int> states;
  do {
    states.clear();
    const auto sockets = tcp_sockets(ours);
    ASSERT_TRUE(sockets) << sockets.error().what;
    for (const TcpSocket& socket : *sockets) {
      states.push_back(socket.state);
      EXPECT_EQ(socket.mark, both_marks);
    }
  } while (!testing::Value(states, settled) && std::chrono::steady_clock::now() < deadline);
  EXPECT_THAT(states, settled);
  EXPECT_EQ(destroy_tcp_sockets(ours, Doomed::time_wait)->destroyed, 1U);
  EXPECT_EQ(*destroy_tcp_sockets(ours), (Destroyed{.destroyed = 1, .refused_by_kernel = 0}));
  EXPECT_THAT(*tcp_sockets(ours), IsEmpty());
}

TEST_P(SockDiag, DestroysHandshakesThatAreNotOver) {
  const Fd listener = listener_with(both_marks);
  // The handshake's last ACK gets lost.
  shell(
      "nft -f - <<'END'\ntable inet t { chain c { type filter hook input priority 0; tcp flags & (syn | ack) == syn "
      "accept; "
      "tcp flags & (syn | ack) == ack drop; } ; }\nEND");
  const Fd client = connection_to(listener, 0);
  const auto sockets = *tcp_sockets(ours);
  ASSERT_THAT(sockets, SizeIs(1));
  EXPECT_TRUE(sockets[0].state == tcp_new_syn_recv || sockets[0].state == TCP_SYN_RECV) << sockets[0].state;
  EXPECT_EQ(destroy_tcp_sockets(ours)->destroyed, 1U);
  EXPECT_THAT(*tcp_sockets(ours), IsEmpty());
}

TEST_P(SockDiag, DestroysThousands) {
  constexpr int count = 1000;
  const Fd listener = listener_with(both_marks, count);
  std::vector<Fd> clients;
  for (int i = 0; i < count; ++i) clients.push_back(connection_to(listener, 0));
  EXPECT_EQ(destroy_tcp_sockets(ours)->destroyed, static_cast<std::uint64_t>(count));
  EXPECT_THAT(*tcp_sockets(ours), IsEmpty());
}

struct WaitingSockets : FreshNamespace {};

TEST_F(WaitingSockets, AreListenersAndUnconnectedDatagramSocketsAndTellWhatTheyAre) {
  const Result<Fd> transparent = listen_transparent({Address::loopback(AF_INET), 9000}, {});
  const Result<Fd> plain = listen_as_service({Address::any(AF_INET6), 9001}, {});
  const auto udp = datagram_socket(AF_INET, {}), connected = datagram_socket(AF_INET, {});
  ASSERT_TRUE(transparent && plain && udp && connected);
  ASSERT_EQ(bind_to(udp->raw(), {Address::any(AF_INET), 53}), 0);
  ASSERT_EQ(start_connect(connected->raw(), {Address::loopback(AF_INET), 53}), 0);

  const auto sockets = waiting_sockets();
  ASSERT_TRUE(sockets) << sockets.error().what;
  ASSERT_THAT(*sockets, SizeIs(3));
  for (const WaitingSocket& socket : *sockets) {
    EXPECT_EQ(socket.is_transparent, socket.at.port == 9000);
    EXPECT_EQ(socket.protocol, socket.at.port == 53 ? IPPROTO_UDP : IPPROTO_TCP);
    EXPECT_EQ(socket.at.address.is_any(), socket.at.port != 9000);
    EXPECT_EQ(socket.uid, 0U);
    EXPECT_NE(socket.inode, 0U);
  }
}

// A transparent proxy's sockets are of the packets' family.
struct BorrowedSocket : SockDiag {};
INSTANTIATE_TEST_SUITE_P(, BorrowedSocket, ::testing::Values(AF_INET, AF_INET6),
                         [](const auto& parameter) { return std::string(family_name(parameter.param)); });

TEST_P(BorrowedSocket, InTimeWaitIsForgottenAndThisMachinesOwnIsNot) {
  const std::string borrowed = family == AF_INET ? "192.0.2.1" : "2001:db8::1";
  const auto leave_time_wait = [&](const Address& address) {
    const Fd listener = socket_with(0);
    EXPECT_EQ(bind_to(listener.raw(), {address, 0}), 0);
    EXPECT_EQ(listen(listener.raw(), 1), 0);
    const Endpoint at = *local_endpoint(listener.raw());
    Fd client = socket_with(0);
    EXPECT_EQ(start_connect(client.raw(), at), 0);
    Fd accepted = accept_from(listener);
    shutdown(accepted.raw(), SHUT_WR);
    client.close();
    return at.port;
  };
  const std::uint16_t own = leave_time_wait(Address::loopback(family));
  // This machine's for as long as the connection lives.
  shell("ip address add " + borrowed + " dev lo" + (family == AF_INET6 ? " nodad" : ""));
  const std::uint16_t foreign = leave_time_wait(*Address::parse(borrowed));
  shell("ip address del " + borrowed + (family == AF_INET6 ? "/128" : "/32") + " dev lo");
  EXPECT_EQ(*destroy_borrowed_time_wait({{1, 1}}), Destroyed{});
  EXPECT_EQ(destroy_borrowed_time_wait({{own, own}, {foreign, foreign}})->destroyed, 1U);
}

}  // namespace
}  // namespace limpid
