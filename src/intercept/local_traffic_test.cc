// SPDX-License-Identifier: MIT
// What the rules do to connections that this machine itself opens (`local = true`).
#include <gtest/gtest.h>

#include "intercept/traffic_lab.h"

namespace limpid {
namespace {

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
