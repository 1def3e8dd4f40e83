// SPDX-License-Identifier: MIT
// Whom the interfaces of a namespace let come in.
#include "intercept/arrivals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "intercept/fib.h"
#include "net/fresh_namespace.h"

namespace limpid {
namespace {

using ::testing::AnyOf;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

struct ArrivalsTest : FreshNamespace {
  static Arrival arrival(const char* own, const char* client) {
    return {"lan0", *Address::parse(own), *Address::parse(client)};
  }
};

TEST_F(ArrivalsTest, AreOneAnAddressWithRoomForANeighbourOfAnInterfaceThatIsUp) {
  shell(
      "ip link add lan0 type veth peer name wan0; ip addr add 10.1.0.1/24 dev lan0; ip addr add 192.0.2.1/32 dev lan0");
  EXPECT_THAT(*arrivals(), IsEmpty());
  shell("ip addr add 10.9.0.2/30 dev lan0; ip -6 addr add fd00::2/64 dev lan0 nodad; ip link set lan0 up");
  EXPECT_THAT(*arrivals(), UnorderedElementsAre(arrival("10.1.0.1", "10.1.0.2"), arrival("10.9.0.2", "10.9.0.1"),
                                                arrival("fd00::2", "fd00::1")));
  const auto addresses = interface_addresses();
  ASSERT_TRUE(addresses);
  const auto found = std::ranges::find(*addresses, *Address::parse("10.9.0.2"), &InterfaceAddress::address);
  ASSERT_NE(found, addresses->end());
  EXPECT_EQ(found->prefix_length(), 30);
}

TEST_F(ArrivalsTest, TheKernelSaysWhichWayTheyGo) {
  shell(
      "ip link add lan0 type veth peer name wan0; ip addr add 10.1.0.1/24 dev lan0; ip addr add 10.2.0.1/24 dev wan0; "
      "ip link set lan0 up; ip link set wan0 up; sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=1; "
      "ip route add 203.0.113.0/24 via 10.2.0.2 table 77; ip rule add fwmark 7 lookup 77");
  Result<Fib> fib = Fib::open();
  ASSERT_TRUE(fib);
  Fib::Query query{.interface = "lan0",
                   .mark = {7, 7},
                   .source = *Address::parse("10.1.0.2"),
                   .destination = *Address::parse("203.0.113.9")};
  EXPECT_EQ(query.text(), "ip route get 203.0.113.9 from 10.1.0.2 iif lan0 mark 0x7");
  Result<Fib::Way> way = fib->way(query);
  ASSERT_TRUE(way) << way.error().what;
  EXPECT_EQ(*way, (Fib::Way{.is_here = false, .table = 77, .interface = "wan0", .via = *Address::parse("10.2.0.2")}));
  query.mark = {};
  EXPECT_FALSE(fib->way(query)) << "there is no route without the mark";
  query.destination = *Address::parse("10.1.0.1");
  EXPECT_TRUE(fib->way(query)->is_here);
  query.source = *Address::parse("10.2.0.9");
  way = fib->way(query);
  ASSERT_FALSE(way);
  EXPECT_THAT(way.error().code, AnyOf(EXDEV, EINVAL)) << "who comes in at the wrong interface is not believed";
  query.interface.clear();
  query.destination = *Address::parse("10.2.0.9");
  EXPECT_EQ(fib->way(query)->interface, "wan0");
}

TEST(Names, OfInterfacesMayEndInAStar) {
  EXPECT_TRUE(is_named("lan0", {"wan0", "lan*"}));
  EXPECT_TRUE(is_named("lan0", {"lan0"}));
  EXPECT_TRUE(is_named("lan0", {"*"}));
  EXPECT_FALSE(is_named("lan0", {"lan"}));
  EXPECT_FALSE(is_named("lan0", {}));
}

}  // namespace
}  // namespace limpid
