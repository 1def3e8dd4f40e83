// SPDX-License-Identifier: MIT
// What the rules do to connections that come in from clients.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "intercept/fib.h"
#include "intercept/leftovers.h"
#include "intercept/survey.h"
#include "intercept/traffic_lab.h"
#include "net/sock_diag.h"

namespace limpid {
namespace {

using namespace std::chrono_literals;
using ::testing::IsEmpty;

INSTANTIATE_TEST_SUITE_P(, Traffic, ::testing::Values(AF_INET, AF_INET6),
                         [](const auto& parameter) { return std::string(family_name(parameter.param)); });

TEST_P(Traffic, IsInterceptedAndTheClientsPortIsKept) {
  const Installation installation = install({.taking = true});
  expect_a_transparent_session();
}

TEST_P(Traffic, IsInterceptedWithEveryConditionOn) {
  const Installation installation = install({.taking = true, .zones = true, .early = true, .cookies = true});
  expect_a_transparent_session();
}

TEST_P(Traffic, IsInterceptedBehindMasqueradeAndAStrictFirewall) {
  shell(
      "nft -f - <<'END'\ntable inet host {\n"
      "chain post { type nat hook postrouting priority srcnat; oifname \"wan0\" masquerade\n}\n"
      "chain in { type filter hook input priority filter; policy drop; iifname \"lo\" accept\n"
      "meta l4proto ipv6-icmp accept\n meta mark & 0x10000000 == 0x10000000 ct state new accept\n"
      "ct state established,related accept\n}\n"
      "chain pre { type filter hook prerouting priority -140; ct state invalid counter drop\n}\n}\nEND");
  const Installation installation = install({.taking = true, .zones = true});
  const Fd at_client = client_connects();
  const Accepted session = proxy_accepts();
  const Fd upstream = proxy_connects_as(session.client);
  const Fd at_server = server_accepts();
  EXPECT_TRUE(talk_both_ways(at_client, session.fd));
  EXPECT_TRUE(talk_both_ways(upstream, at_server));
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  ASSERT_EQ(getpeername(at_server.raw(), reinterpret_cast<sockaddr*>(&peer), &size), 0);
  EXPECT_NE(Endpoint::from_sockaddr(peer).address, client_at.address) << "the private address has leaked";
}

TEST_P(Traffic, IsInterceptedWhateverTheSourceValidationOfTheHost) {
  const Installation installation = install({.taking = true});
  for (const int valid_mark : {0, 1})
    for (const int rp_filter : {0, 1, 2}) {
      shell(
          fmt::format("for d in all default lo lan0 wan0; do sysctl -qw net.ipv4.conf.$d.src_valid_mark={} "
                      "net.ipv4.conf.$d.rp_filter={}; done",
                      valid_mark, rp_filter));
      expect_a_transparent_session();
      Result<Fib> fib = Fib::open();
      ASSERT_TRUE(fib);
      const Result<bool> local = fib->is_delivered_locally({.interface = "lan0",
                                                            .mark = plan.settings.mark,
                                                            .source = client_at.address,
                                                            .destination = server_at.address});
      ASSERT_TRUE(local) << local.error().what;
      EXPECT_TRUE(*local);
    }
}

TEST_P(Traffic, IsForwardedWithoutTheMark) {
  const Installation installation = install({.taking = true});
  Result<Fib> fib = Fib::open();
  ASSERT_TRUE(fib);
  const Result<bool> local = fib->is_delivered_locally(
      {.interface = "lan0", .mark = {}, .source = client_at.address, .destination = server_at.address});
  ASSERT_TRUE(local) << local.error().what;
  EXPECT_FALSE(*local);
  EXPECT_FALSE(fib->is_delivered_locally(
      {.interface = "no0", .mark = {}, .source = client_at.address, .destination = server_at.address}));
}

TEST_P(Traffic, SurvivesSynCookies) {
  shell("sysctl -qw net.ipv4.tcp_syncookies=2");
  const Fd before = client_connects();
  const Fd before_at_server = server_accepts();
  const Installation installation = install({.taking = true, .cookies = true});
  expect_a_transparent_session();
  EXPECT_TRUE(talk_both_ways(before, before_at_server)) << "a connection from before the start must go on";
}

// As Docker and Kubernetes leave a machine.
struct BridgedTraffic : Traffic {
  void SetUp() override {
    Traffic::SetUp();
    plan.settings.interfaces = {"br0"};
  }
  static void put_a_bridge_before_the_clients() {
    shell(
        "ip link add br0 type bridge forward_delay 0; ip link set br0 up; "
        "sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1; "
        "ip addr flush dev lan0; ip link set lan0 master br0; "
        "ip addr add 192.0.2.1/24 dev br0; ip addr add 2001:db8:a::1/64 dev br0 nodad");
  }
};
INSTANTIATE_TEST_SUITE_P(, BridgedTraffic, ::testing::Values(AF_INET, AF_INET6),
                         [](const auto& parameter) { return std::string(family_name(parameter.param)); });

TEST_P(BridgedTraffic, IsInterceptedBehindABridgeThatCallsIptables) {
  put_a_bridge_before_the_clients();
  Result<Surveyor> surveyor = Surveyor::open();
  const Result<Survey> survey = surveyor->look(plan, {});
  ASSERT_TRUE(survey && survey->bridge);
  const Installation installation = install(survey->conditions(true));
  expect_a_transparent_session();
}

TEST_P(BridgedTraffic, IsInterceptedBehindABridgeThatAppearsLater) {
  Installation installation = install({.taking = true});
  put_a_bridge_before_the_clients();
  ASSERT_TRUE(installation.change({.taking = true, .early = true}));
  expect_a_transparent_session();
}

TEST_P(Traffic, FromBeforeTheStartGoesOnAndSessionsGoOnWhenItIsNoLongerTaken) {
  const Fd before = client_connects();
  const Fd before_at_server = server_accepts();
  Installation installation = install({.taking = true});
  EXPECT_TRUE(talk_both_ways(before, before_at_server));
  const Fd during = client_connects();
  const Accepted session = proxy_accepts();
  const Fd upstream = proxy_connects_as(session.client);
  const Fd at_server = server_accepts();

  ASSERT_TRUE(installation.change({.taking = false}));
  const Fd after = client_connects();
  const Fd after_at_server = server_accepts();
  EXPECT_TRUE(talk_both_ways(after, after_at_server));
  ASSERT_TRUE(installation.change({.taking = false, .zones = true, .cookies = true}));
  EXPECT_TRUE(talk_both_ways(during, session.fd));
  EXPECT_TRUE(talk_both_ways(upstream, at_server));
  EXPECT_TRUE(talk_both_ways(before, before_at_server));
}

TEST_P(Traffic, OfAPortInTimeWaitIsTakenAtOnce) {
  const Installation installation = install({.taking = true});
  for (int round = 0; round < 3; ++round) {
    const auto start = std::chrono::steady_clock::now();
    Fd fd = client_socket();
    ASSERT_EQ(bind_to(fd, {client_at.address, 30001}), 0);
    ASSERT_EQ(connect_to(fd, server_at), 0);
    EXPECT_LT(std::chrono::steady_clock::now() - start, 500ms) << "a TIME_WAIT socket has answered with an ACK";
    Accepted session = proxy_accepts();
    ASSERT_TRUE(talk_both_ways(fd, session.fd));
    ASSERT_EQ(::shutdown(session.fd.raw(), SHUT_WR), 0);  // ours closes first: TIME_WAIT is ours
    char byte = 0;
    ASSERT_EQ(::recv(fd.raw(), &byte, 1, 0), 0);
    fd.close();
    ASSERT_TRUE(is_ready(session.fd.raw(), POLLIN));
    close_in_order(std::move(session.fd));
    EXPECT_EQ(tcp_sockets(accepted)->size(), 1U);
  }
}

TEST_P(Traffic, ReachesItsDestinationAgainWhenAllIsWithdrawnThoughThePortIsTheSame) {
  Installation installation = install({.taking = true});
  {
    Fd fd = client_socket();
    ASSERT_EQ(bind_to(fd, {client_at.address, 30001}), 0);
    ASSERT_EQ(connect_to(fd, server_at), 0);
    Accepted session = proxy_accepts();
    ASSERT_EQ(::shutdown(session.fd.raw(), SHUT_WR), 0);
    char byte = 0;
    ASSERT_EQ(::recv(fd.raw(), &byte, 1, 0), 0);
    fd.close();
    ASSERT_TRUE(is_ready(session.fd.raw(), POLLIN));
    close_in_order(std::move(session.fd));
  }
  const Removed removed = installation.withdraw(GuardFate::keep);
  EXPECT_THAT(removed.errors, IsEmpty());
  EXPECT_EQ(removed.sockets, (Destroyed{.destroyed = 1, .refused_by_kernel = 0}));
  EXPECT_TRUE(is_listening(listener.raw()));
  Fd again = client_socket();
  ASSERT_EQ(bind_to(again, {client_at.address, 30001}), 0);
  ASSERT_EQ(connect_to(again, server_at), 0);
  EXPECT_TRUE(talk_both_ways(again, server_accepts()));
}

TEST_P(Traffic, ThatIsProhibitedOnTheWayIsToldToTheProxyByIcmp) {
  const Installation installation = install({.taking = true, .zones = true});
  {
    const NetworkNamespace::Inside inside(*server);
    shell(
        "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; "
        "ip route add prohibit 203.0.114.0/24; ip route add prohibit 2001:db8:d::/64");
  }
  shell("ip route add 203.0.114.0/24 via 203.0.113.2; ip route add 2001:db8:d::/64 via 2001:db8:b::2");
  const Endpoint nowhere{*Address::parse(family == AF_INET ? "203.0.114.1" : "2001:db8:d::1"), 80};
  auto fd = upstream_socket(family, own);
  ASSERT_TRUE(fd);
  ASSERT_EQ(bind_source(fd->raw(), {client_at.address, 30002}), 0);
  EXPECT_EQ(start_connect(fd->raw(), nowhere), EINPROGRESS);
  // Over veth the first error can be back before connect(2) has let go of the socket, which then takes the next one.
  EXPECT_TRUE(is_ready(fd->raw(), POLLOUT)) << "the ICMP error has not reached the socket";
  EXPECT_EQ(pending_error(fd->raw()), family == AF_INET ? EHOSTUNREACH : EACCES);
}

TEST_P(Traffic, IsRefusedAtOnceByTheGuardUntilItGoes) {
  plan.settings.without_us = WithoutUs::closed;
  const Fd before = client_connects();
  const Fd before_at_server = server_accepts();
  Installation installation = install({.taking = true});
  expect_a_transparent_session();
  ASSERT_TRUE(installation.change({.taking = false}));
  EXPECT_EQ(connect_to(client_socket(), server_at), ECONNREFUSED);
  installation.withdraw(GuardFate::keep);
  EXPECT_EQ(connect_to(client_socket(), server_at), ECONNREFUSED);
  EXPECT_TRUE(talk_both_ways(before, before_at_server));
  const auto removed = clean_up(own, GuardFate::remove, 0ms);
  ASSERT_TRUE(removed);
  EXPECT_THAT(removed->what, ::testing::ElementsAre("table inet limpid_guard"));
  const Fd direct = client_connects();
  EXPECT_TRUE(talk_both_ways(direct, server_accepts()));
}

TEST_P(Traffic, OfTheProbeIsAnsweredThoughNothingIsTaken) {
  for (const bool local : {false, true}) {
    plan.settings.local = local;
    const Installation installation = install({.taking = false});
    const Fd probe = plain_socket(family, plan.settings.local_mark.bits);
    const Endpoint here_at{*Address::parse(family == AF_INET ? "192.0.2.1" : "2001:db8:a::1"), 0};
    const Endpoint nobody{*Address::parse(family == AF_INET ? "198.51.100.1" : "2001:db8:e::1"), 9};
    ASSERT_EQ(bind_to(probe, here_at), 0);
    ASSERT_EQ(connect_to(probe, nobody), 0);
    EXPECT_EQ(proxy_accepts().destination, nobody);
  }
}

}  // namespace
}  // namespace limpid
