// SPDX-License-Identifier: MIT
// A listener of the user's that wants a header, over real sockets: the test plays the load balancer and the server.
#include "proxy/proxy_header.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <thread>

#include "net/fresh_namespace.h"
#include "protocol/proxy_protocol.h"
#include "proxy/worker.h"

namespace limpid {
namespace {

class ProxyHeader : public FreshNamespace {
 protected:
  void SetUp() override {
    FreshNamespace::SetUp();
    server_ = *listen_as_service({Address::loopback(AF_INET), 0}, {});
    Fd listener = *listen_as_service({Address::loopback(AF_INET), 0}, {});
    at_ = *local_endpoint(listener.raw());
    PolicySource source;
    Upstream& upstream = source.upstreams.emplace_back();
    upstream.name = "server";
    upstream.type = UpstreamType::fixed;
    upstream.address = {*local_endpoint(server_.raw())};
    source.listeners = {{.name = "balancer",
                         .listen = {at_},
                         .accept = Accept::proxy_protocol,
                         .trusted = {{Address::loopback(AF_INET), 32}},
                         .action = "server"}};
    WorkerParts parts;
    parts.listeners.push_back(std::move(listener));
    parts.policy = std::make_shared<const PathPolicy>(std::move(source), HashSeed{}, nullptr);
    const PathSettings settings{.own_mark = {},
                                .sessions_max = 10,
                                .connect_timeout = std::chrono::seconds(5),
                                .idle_timeout = std::chrono::seconds(60),
                                .half_closed_timeout = std::chrono::seconds(60)};
    state_.sessions_free = 10;
    worker_ = *Worker::create(settings, state_, std::move(parts));
    thread_ = std::jthread([this] { worker_->run(); });
  }
  void TearDown() override {
    state_.ending = true;
    worker_->wake();
    thread_.join();
    FreshNamespace::TearDown();
  }

  [[nodiscard]] Fd connect_from(const Address& source) const {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval deadline{.tv_sec = 20, .tv_usec = 0};
    EXPECT_EQ(::setsockopt(fd.raw(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline), 0);
    EXPECT_EQ(bind_source(fd.raw(), {source, 0}), 0);
    EXPECT_EQ(start_connect(fd.raw(), at_), 0);
    return fd;
  }
  // 0 at the end of the stream, else errno.
  static int end_of(const Fd& fd) {
    char byte;
    const ssize_t n = ::recv(fd.raw(), &byte, 1, 0);
    return n < 0 ? errno : 0;
  }
  [[nodiscard]] bool counts(CloseReason reason, std::uint64_t count) const {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    const Counters& counters = std::as_const(*worker_).counters();
    while (counters.closed[static_cast<std::size_t>(reason)].value() != count) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::yield();
    }
    return true;
  }
  Fd accept_at_the_server() const {
    pollfd waiting{server_.raw(), POLLIN, 0};
    EXPECT_EQ(::poll(&waiting, 1, 20'000), 1);
    return Fd(::accept4(server_.raw(), nullptr, nullptr, SOCK_CLOEXEC));
  }

  const ProxiedConnection told_{*Endpoint::parse("192.0.2.1:5000"), *Endpoint::parse("192.0.2.2:443")};
  PathState state_;
  Endpoint at_;
  Fd server_;
  std::unique_ptr<Worker> worker_;
  std::jthread thread_;
};

TEST_F(ProxyHeader, IsTakenOffHoweverItComesAndWhatFollowsIsTheStream) {
  for (std::vector<std::uint8_t> bytes : {proxy_header_v1(told_), proxy_header_v2(told_)}) {
    const Fd balancer = connect_from(Address::loopback(AF_INET));
    bytes.insert(bytes.end(), {'h', 'i'});
    for (const std::uint8_t byte : bytes) ASSERT_EQ(::send(balancer.raw(), &byte, 1, 0), 1);
    const Fd server = accept_at_the_server();
    char stream[2];
    ASSERT_EQ(::recv(server.raw(), stream, sizeof stream, MSG_WAITALL), 2);
    EXPECT_EQ(std::string_view(stream, 2), "hi");
  }
}

TEST_F(ProxyHeader, ThatIsNoneResetsTheConnection) {
  const Fd balancer = connect_from(Address::loopback(AF_INET));
  ASSERT_EQ(::send(balancer.raw(), "GET /", 5, 0), 5);
  EXPECT_EQ(end_of(balancer), ECONNRESET);
  EXPECT_TRUE(counts(CloseReason::bad_proxy_header, 1));
}

TEST_F(ProxyHeader, ThatDoesNotComeIsWaitedForThreeSeconds) {
  const auto before = std::chrono::steady_clock::now();
  const Fd balancer = connect_from(Address::loopback(AF_INET));
  EXPECT_EQ(end_of(balancer), ECONNRESET);
  EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(2900));
  EXPECT_TRUE(counts(CloseReason::bad_proxy_header, 1));
}

TEST_F(ProxyHeader, IsNotTakenFromWhoIsNotTrusted) {
  EXPECT_EQ(end_of(connect_from(*Address::parse("127.0.0.2"))), ECONNRESET);
  EXPECT_TRUE(counts(CloseReason::untrusted, 1));
}

}  // namespace
}  // namespace limpid
