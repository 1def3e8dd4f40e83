// SPDX-License-Identifier: MIT
// What the rules do to real packets: a client, this gateway and a server, in namespaces of their own. The proxy is
// played by hand, with one listener and plain sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "intercept/example_plan.h"
#include "intercept/fib.h"
#include "intercept/installation.h"
#include "intercept/survey.h"
#include "net/fresh_namespace.h"
#include "net/sock_diag.h"
#include "net/socket.h"

namespace limpid {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr auto patience = 5000ms;

bool is_ready(int fd, short events) {
  pollfd waiting{fd, events, 0};
  return ::poll(&waiting, 1, static_cast<int>(patience.count())) == 1;
}

// A socket whose calls give up in the end.
Fd plain_socket(int family, std::uint32_t mark = 0) {
  Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{.tv_sec = 5, .tv_usec = 0};
  const int on = 1;
  setsockopt(fd.raw(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd.raw(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd.raw(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (mark != 0) setsockopt(fd.raw(), SOL_SOCKET, SO_MARK, &mark, sizeof mark);
  return fd;
}

int bind_to(const Fd& fd, const Endpoint& at) {
  sockaddr_storage storage{};
  const socklen_t size = at.to_sockaddr(storage);
  return ::bind(fd.raw(), reinterpret_cast<sockaddr*>(&storage), size) == 0 ? 0 : errno;
}

int connect_to(const Fd& fd, const Endpoint& to) {
  sockaddr_storage storage{};
  const socklen_t size = to.to_sockaddr(storage);
  return ::connect(fd.raw(), reinterpret_cast<sockaddr*>(&storage), size) == 0 ? 0 : errno;
}

// Whether what one end says is what the other end hears.
bool talk(const Fd& from, const Fd& to) {
  char heard[5] = {};
  if (!is_ready(from.raw(), POLLOUT) || ::send(from.raw(), "hello", 5, MSG_NOSIGNAL) != 5) return false;
  return is_ready(to.raw(), POLLIN) && ::recv(to.raw(), heard, sizeof heard, MSG_WAITALL) == 5 &&
         std::string_view(heard, 5) == "hello";
}
bool talk_both_ways(const Fd& one, const Fd& other) { return talk(one, other) && talk(other, one); }

Endpoint end_of(const Fd& fd) { return *local_endpoint(fd.raw()); }

struct Traffic : FreshNamespace, ::testing::WithParamInterface<int> {
  int family = GetParam();
  Plan plan = example_plan();
  std::optional<NetworkNamespace> client, server;
  Fd listener;         // the proxy's
  Fd server_listener;  // the real server's, on port 80
  Endpoint server_at{*Address::parse(family == AF_INET ? "203.0.113.2" : "2001:db8:b::2"), 80};
  Endpoint client_at{*Address::parse(family == AF_INET ? "192.0.2.2" : "2001:db8:a::2"), 0};
  Mark own = plan.settings.own_mark;
  Mark accepted = own.with(plan.settings.mark);

  void SetUp() override {
    FreshNamespace::SetUp();
    client.emplace(std::move(*NetworkNamespace::create()));
    server.emplace(std::move(*NetworkNamespace::create()));
    wire({here(), "lan0"}, {*client, "eth0"}, "192.0.2", "2001:db8:a::");
    wire({here(), "wan0"}, {*server, "eth0"}, "203.0.113", "2001:db8:b::");
    ASSERT_TRUE(forward_packets(here()));
    plan.settings.bypass = plan.settings.bypass_from = {};
    Result<Fd> opened = listen_transparent({Address::loopback(family), 0}, accepted);
    ASSERT_TRUE(opened) << opened.error().what;
    listener = std::move(*opened);
    plan.ports = {};
    (family == AF_INET ? plan.ports.ipv4 : plan.ports.ipv6) = end_of(listener).port;
    server_listener = listen_in(*server, {server_at.address, 80});
  }

  void wire(const LinkEnd& gateway, const LinkEnd& host, const std::string& net4, const std::string& net6) {
    ASSERT_TRUE(plug_cable(gateway, host, patience));
    for (const auto& [end, number] : {std::pair{gateway, "1"}, std::pair{host, "2"}}) {
      const NetworkNamespace::Inside inside(end.where);
      shell(fmt::format("ip addr add {0}.{2}/24 dev {3}; ip addr add {1}{2}/64 dev {3} nodad", net4, net6, number,
                        end.name));
    }
    ASSERT_TRUE(add_default_route(host.where, *Address::parse(net4 + ".1")));
    ASSERT_TRUE(add_default_route(host.where, *Address::parse(net6 + "1")));
  }

  static Fd listen_in(const NetworkNamespace& where, const Endpoint& at) {
    const NetworkNamespace::Inside inside(where);
    Fd fd = plain_socket(at.family());
    EXPECT_EQ(bind_to(fd, at), 0) << at.text();
    EXPECT_EQ(::listen(fd.raw(), 8), 0);
    return fd;
  }

  Fd client_socket() const {
    const NetworkNamespace::Inside inside(*client);
    return plain_socket(family);
  }
  // The client's connection to the server, in whoever's hands it ends.
  Fd client_connects() const {
    Fd fd = client_socket();
    EXPECT_EQ(connect_to(fd, server_at), 0);
    return fd;
  }

  Fd server_accepts() const {
    EXPECT_TRUE(is_ready(server_listener.raw(), POLLIN));
    return Fd(::accept4(server_listener.raw(), nullptr, nullptr, SOCK_CLOEXEC));
  }
  // Played by us.
  Accepted proxy_accepts() const {
    EXPECT_TRUE(is_ready(listener.raw(), POLLIN));
    auto result = accept_client(listener.raw());
    EXPECT_TRUE(result);
    return result ? std::move(*result) : Accepted{};
  }
  Fd proxy_connects_as(const Endpoint& source) const {
    auto fd = upstream_socket(family, own);
    EXPECT_TRUE(fd);
    EXPECT_EQ(bind_source(fd->raw(), source), 0);
    EXPECT_EQ(start_connect(fd->raw(), server_at), EINPROGRESS);
    EXPECT_TRUE(is_ready(fd->raw(), POLLOUT));
    EXPECT_EQ(pending_error(fd->raw()), 0);
    return std::move(*fd);
  }

  Installation install(const Conditions& conditions) const {
    Result<Installation> installation = Installation::install(plan, conditions, 0ms);
    EXPECT_TRUE(installation) << installation.error().what;
    return std::move(*installation);
  }

  // A session as it should be: each end sees the other's address and port.
  void expect_a_transparent_session() const {
    const Fd at_client = client_connects();
    const Accepted session = proxy_accepts();
    EXPECT_EQ(session.destination, server_at);
    EXPECT_EQ(session.client, end_of(at_client));
    const Fd upstream = proxy_connects_as(session.client);
    const Fd at_server = server_accepts();
    EXPECT_TRUE(talk_both_ways(at_client, session.fd));
    EXPECT_TRUE(talk_both_ways(upstream, at_server));
  }
};
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

// This machine's own connections.

struct LocalTraffic : Traffic {
  Fd connects() const {
    Fd fd = plain_socket(family);
    EXPECT_EQ(connect_to(fd, server_at), 0);
    return fd;
  }
  std::string learnt(const std::string& set) const {
    return shell(fmt::format("nft list set inet limpid {}{}", set, family == AF_INET ? 4 : 6));
  }
};
INSTANTIATE_TEST_SUITE_P(, LocalTraffic, ::testing::Values(AF_INET, AF_INET6),
                         [](const auto& parameter) { return std::string(family_name(parameter.param)); });

TEST_P(LocalTraffic, IsInterceptedButForOursAndForWhatWasThereBefore) {
  plan.settings.local = true;
  plan.settings.tcp = {PortRange::all()};
  const Fd before = connects();
  const Fd before_at_server = server_accepts();
  const Fd service = listen_in(
      here(),
      {client_at.address.family() == AF_INET ? *Address::parse("192.0.2.1") : *Address::parse("2001:db8:a::1"), 22});
  Installation installation = install({.taking = true});
  EXPECT_TRUE(talk_both_ways(before, before_at_server));

  const Fd fd = connects();
  const Accepted session = proxy_accepts();
  EXPECT_EQ(session.destination, server_at);
  EXPECT_EQ(session.client, end_of(fd));
  EXPECT_TRUE(is_from_loopback(session.fd.raw(), family));
  const Fd upstream = proxy_connects_as({session.client.address, 0});
  EXPECT_TRUE(talk_both_ways(fd, session.fd));
  EXPECT_TRUE(talk_both_ways(upstream, server_accepts()));

  // Somebody logs in from outside while every port is intercepted.
  Fd login = client_socket();
  ASSERT_EQ(connect_to(login, end_of(service)), 0);
  const Fd logged_in(::accept4(service.raw(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_TRUE(talk_both_ways(login, logged_in));

  ASSERT_TRUE(installation.change({.taking = false, .zones = true}));
  EXPECT_TRUE(talk_both_ways(fd, session.fd));
  const Fd direct = connects();
  EXPECT_TRUE(talk_both_ways(direct, server_accepts()));
  ASSERT_TRUE(installation.change({.taking = true}));
  EXPECT_TRUE(talk_both_ways(fd, session.fd));
  EXPECT_TRUE(talk_both_ways(before, before_at_server));
}

TEST_P(LocalTraffic, SurvivesSynCookies) {
  shell("sysctl -qw net.ipv4.tcp_syncookies=2");
  plan.settings.local = true;
  const Installation installation = install({.taking = true, .cookies = true});
  const Fd fd = connects();
  EXPECT_TRUE(talk_both_ways(fd, proxy_accepts().fd));
}

TEST_P(LocalTraffic, IsForgottenWhenItEnds) {
  plan.settings.local = true;
  const Installation installation = install({.taking = true});
  const auto is_known = [&](const std::string& set, const Endpoint& end) {
    return learnt(set).find(fmt::format("{} . {} . ", end.address.text(), end.port)) != std::string::npos;
  };
  {
    Fd fd = connects();
    Accepted session = proxy_accepts();
    const Endpoint end = end_of(fd);
    EXPECT_TRUE(is_known("taken", end));
    fd.close();
    ASSERT_TRUE(is_ready(session.fd.raw(), POLLIN));
    EXPECT_FALSE(is_known("taken", end));
    EXPECT_TRUE(is_known("closing", end));
  }
  {
    const Fd fd = connects();
    Accepted session = proxy_accepts();
    const Endpoint end = end_of(fd);
    EXPECT_TRUE(is_known("taken", end));
    session.fd.close();  // with SO_LINGER 0: a reset
    char byte = 0;
    EXPECT_EQ(::recv(fd.raw(), &byte, 1, 0), -1);
    EXPECT_FALSE(is_known("taken", end));
    EXPECT_FALSE(is_known("closing", end));
  }
}

TEST_P(LocalTraffic, IsRefusedAtOnceByTheGuardButForOurs) {
  plan.settings.local = true;
  plan.settings.without_us = WithoutUs::closed;
  Installation installation = install({.taking = true});
  const Fd fd = connects();
  EXPECT_TRUE(talk_both_ways(fd, proxy_accepts().fd));
  installation.withdraw(GuardFate::keep);
  EXPECT_EQ(connect_to(plain_socket(family), server_at), ECONNREFUSED);
  EXPECT_EQ(connect_to(plain_socket(family, own.bits), server_at), 0);
  EXPECT_EQ(connect_to(plain_socket(family), {server_at.address, 9}), ECONNREFUSED);  // by the server itself
}

}  // namespace
}  // namespace limpid
