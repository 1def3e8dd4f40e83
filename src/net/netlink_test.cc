// SPDX-License-Identifier: MIT
#include "net/netlink.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "net/fresh_namespace.h"
#include "net/links.h"

namespace limpid {
namespace {

struct NetlinkTest : FreshNamespace {};

bool speaks(KernelEvents& events) {
  pollfd waiting{events.fd(), POLLIN, 0};
  return ::poll(&waiting, 1, 5000) == 1 && events.drain();
}

TEST_F(NetlinkTest, TellsWhenTheNetworkChanges) {
  Result<KernelEvents> events = KernelEvents::network();
  ASSERT_TRUE(events) << events.error().what;
  EXPECT_FALSE(events->drain());
  shell("ip link add br0 type bridge");
  EXPECT_TRUE(speaks(*events));
  for (const char* const family : {"-4", "-6"}) {
    events->drain();
    shell(fmt::format("ip {} rule add priority 7 lookup main", family));
    EXPECT_TRUE(speaks(*events)) << family;
  }
}

TEST_F(NetlinkTest, TellsWhenTheFirewallChanges) {
  Result<KernelEvents> events = KernelEvents::firewall();
  ASSERT_TRUE(events) << events.error().what;
  shell("nft add table inet one");
  EXPECT_TRUE(speaks(*events));
  EXPECT_FALSE(events->drain());
  EXPECT_EQ(fcntl(events->fd(), F_GETFD), FD_CLOEXEC);
}

TEST_F(NetlinkTest, ListsLinks) {
  shell("ip link add br0 type bridge nf_call_iptables 1; ip link add br1 type bridge; ip link set br1 up");
  const auto all = links();
  ASSERT_TRUE(all) << all.error().what;
  ASSERT_EQ(all->size(), 3U);
  EXPECT_EQ(all->at(0), (Link{.index = 1, .name = "lo", .is_up = true, .is_bridge = false, .calls_iptables = false}));
  EXPECT_EQ(all->at(1).name, "br0");
  EXPECT_TRUE(all->at(1).is_bridge && all->at(1).calls_iptables && !all->at(1).is_up);
  EXPECT_TRUE(all->at(2).is_bridge && !all->at(2).calls_iptables && all->at(2).is_up);
}

}  // namespace
}  // namespace limpid
