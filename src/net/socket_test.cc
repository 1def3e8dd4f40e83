// SPDX-License-Identifier: MIT
#include "net/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <cerrno>

#include "net/fresh_namespace.h"

namespace limpid {
namespace {

constexpr Mark mark{0x50000000, 0x50000000};

class Sockets : public FreshNamespace, public ::testing::WithParamInterface<int> {
 protected:
  static int option(int fd, int level, int name) {
    int value = -1;
    socklen_t length = sizeof value;
    EXPECT_EQ(getsockopt(fd, level, name, &value, &length), 0);
    return value;
  }
  static Accepted accept(const Fd& listener) {
    pollfd waiting{listener.raw(), POLLIN, 0};
    EXPECT_EQ(poll(&waiting, 1, 5000), 1);
    std::expected<Accepted, int> accepted = accept_client(listener.raw());
    EXPECT_TRUE(accepted);
    return std::move(*accepted);
  }
};

TEST_F(FreshNamespace, KnowsThisMachinesAddressesSecondaryOnesToo) {
  shell("ip link add eth0 type veth peer name eth1; ip link set eth0 up; ip link set eth1 up");
  shell("sysctl -qw net.ipv4.ip_nonlocal_bind=1");
  shell("ip addr add 192.0.2.1/24 dev eth0; ip addr add 192.0.2.2/24 dev eth0");
  shell("ip addr add 2001:db8::1/64 dev eth0 nodad; ip addr add 2001:db8::2/64 dev eth0 nodad");
  for (const std::string_view own : {"127.0.0.1", "::1", "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"})
    EXPECT_TRUE(is_own_address(*Address::parse(own))) << own;
  for (const std::string_view other : {"192.0.2.3", "2001:db8::3", "198.51.100.1"})
    EXPECT_FALSE(is_own_address(*Address::parse(other))) << other;
}

TEST_P(Sockets, HandTheListenersOptionsToWhatTheyAccept) {
  const int family = GetParam();
  const Fd listener = *listen_transparent({Address::loopback(family), 0}, mark);
  const Fd client = *upstream_socket(family, mark);
  const int connected = start_connect(client.raw(), *local_endpoint(listener.raw()));
  ASSERT_TRUE(connected == 0 || connected == EINPROGRESS);
  const Accepted accepted = accept(listener);
  const int fd = accepted.fd.raw();
  EXPECT_EQ(static_cast<std::uint32_t>(option(fd, SOL_SOCKET, SO_MARK)), mark.bits);
  EXPECT_EQ(option(fd, SOL_SOCKET, SO_OOBINLINE), 1);
  EXPECT_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(option(fd, SOL_SOCKET, SO_LINGER), 1);
  EXPECT_EQ(accepted.client, *local_endpoint(client.raw()));
  EXPECT_EQ(accepted.destination, *local_endpoint(listener.raw()));
}

TEST_P(Sockets, KnowWhetherTheSynCameOverLoopback) {
  const int family = GetParam();
  const Fd listener = *listen_transparent({Address::loopback(family), 0}, mark);
  const Fd client = *upstream_socket(family, mark);
  (void)start_connect(client.raw(), *local_endpoint(listener.raw()));
  EXPECT_TRUE(is_from_loopback(accept(listener).fd.raw(), family));

  // From another host.
  const NetworkNamespace other = *NetworkNamespace::create();
  ASSERT_TRUE(plug_cable({here(), "a"}, {other, "b"}, std::chrono::seconds(5)));
  const Address here_address = *Address::parse(family == AF_INET ? "10.9.0.1" : "fd09::1");
  ASSERT_TRUE(add_address({here(), "a"}, {here_address, family == AF_INET ? 24 : 64}));
  ASSERT_TRUE(add_address({other, "b"},
                          {*Address::parse(family == AF_INET ? "10.9.0.2" : "fd09::2"), family == AF_INET ? 24 : 64}));
  const Fd reachable = *listen_transparent({here_address, 0}, mark);
  Fd far;
  {
    const NetworkNamespace::Inside inside(other);
    far = *upstream_socket(family, mark);
  }
  (void)start_connect(far.raw(), *local_endpoint(reachable.raw()));
  EXPECT_FALSE(is_from_loopback(accept(reachable).fd.raw(), family));
}

TEST_P(Sockets, StandAtForeignAddresses) {
  const Address foreign = *Address::parse(GetParam() == AF_INET ? "192.0.2.77" : "2001:db8::77");
  const Fd listener = *listen_transparent({foreign, 0}, mark);
  EXPECT_TRUE(is_listening(listener.raw()));
  const Fd upstream = *upstream_socket(GetParam(), mark);
  EXPECT_FALSE(is_listening(upstream.raw()));
  EXPECT_EQ(bind_source(upstream.raw(), {foreign, 4711}), 0);
  EXPECT_EQ(*local_endpoint(upstream.raw()), (Endpoint{foreign, 4711}));
}

TEST_P(Sockets, OfAnybodyLeaveFromForeignAddresses) {
  const Endpoint foreign{*Address::parse(GetParam() == AF_INET ? "192.0.2.77" : "2001:db8::77"), 4711};
  for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
    const Fd socket(::socket(GetParam(), type, 0));
    EXPECT_EQ(bind_to(socket.raw(), foreign), EADDRNOTAVAIL);
    EXPECT_EQ(bind_foreign_source(socket.raw(), foreign), 0);
    EXPECT_EQ(*local_endpoint(socket.raw()), foreign);
    const Fd second(::socket(GetParam(), type, 0));
    EXPECT_EQ(bind_foreign_source(second.raw(), foreign), type == SOCK_STREAM ? 0 : EADDRINUSE);
    const Fd third(::socket(GetParam(), type, 0));
    EXPECT_EQ(bind_foreign_source(third.raw(), {foreign.address, 0}), 0);
    EXPECT_EQ(*local_endpoint(third.raw()), (Endpoint{foreign.address, 0}));
  }
}

INSTANTIATE_TEST_SUITE_P(OfBothFamilies, Sockets, ::testing::Values(AF_INET, AF_INET6),
                         [](const auto& family) { return std::string(family_name(family.param)); });

}  // namespace
}  // namespace limpid
