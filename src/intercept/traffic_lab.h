// SPDX-License-Identifier: MIT
// For tests of what the rules do to real packets: a client, this gateway and a server, in namespaces of their own. The
// proxy is played by hand, with one listener and plain sockets.
#pragma once
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <chrono>
#include <optional>
#include <string>

#include "intercept/example_plan.h"
#include "intercept/installation.h"
#include "net/fresh_namespace.h"
#include "net/socket.h"

namespace limpid {

inline constexpr std::chrono::milliseconds patience = std::chrono::seconds(5);

inline bool is_ready(int fd, short events) {
  pollfd waiting{fd, events, 0};
  return ::poll(&waiting, 1, static_cast<int>(patience.count())) == 1;
}

// A socket whose calls give up in the end.
inline Fd plain_socket(int family, std::uint32_t mark = 0) {
  Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{.tv_sec = 5, .tv_usec = 0};
  const int on = 1;
  setsockopt(fd.raw(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd.raw(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd.raw(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (mark != 0) setsockopt(fd.raw(), SOL_SOCKET, SO_MARK, &mark, sizeof mark);
  return fd;
}

inline int bind_to(const Fd& fd, const Endpoint& at) {
  sockaddr_storage storage{};
  const socklen_t size = at.to_sockaddr(storage);
  return ::bind(fd.raw(), reinterpret_cast<sockaddr*>(&storage), size) == 0 ? 0 : errno;
}

inline int connect_to(const Fd& fd, const Endpoint& to) {
  sockaddr_storage storage{};
  const socklen_t size = to.to_sockaddr(storage);
  return ::connect(fd.raw(), reinterpret_cast<sockaddr*>(&storage), size) == 0 ? 0 : errno;
}

// Whether what one end says is what the other end hears.
inline bool talk(const Fd& from, const Fd& to) {
  char heard[5] = {};
  if (!is_ready(from.raw(), POLLOUT) || ::send(from.raw(), "hello", 5, MSG_NOSIGNAL) != 5) return false;
  return is_ready(to.raw(), POLLIN) && ::recv(to.raw(), heard, sizeof heard, MSG_WAITALL) == 5 &&
         std::string_view(heard, 5) == "hello";
}
inline bool talk_both_ways(const Fd& one, const Fd& other) { return talk(one, other) && talk(other, one); }

inline Endpoint end_of(const Fd& fd) { return *local_endpoint(fd.raw()); }

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
    Result<Installation> installation = Installation::install(plan, conditions, std::chrono::milliseconds(0));
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
}  // namespace limpid
