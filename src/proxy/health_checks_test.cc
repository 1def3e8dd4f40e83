// SPDX-License-Identifier: MIT
// Against sockets of this machine, with a worker that runs beside the test.
#include "proxy/health_checks.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <mutex>
#include <thread>

#include "net/fresh_namespace.h"
#include "net/socket.h"
#include "proxy/worker.h"

namespace limpid {
namespace {

using std::chrono::milliseconds;

class HealthCheck : public FreshNamespace {
 protected:
  static std::shared_ptr<const PathPolicy> policy_of(const std::vector<Endpoint>& addresses,
                                                     UpstreamCheck check = UpstreamCheck::connect) {
    PolicySource source;
    Upstream& upstream = source.upstreams.emplace_back();
    upstream.name = "office";
    upstream.address = addresses;
    upstream.check_interval = milliseconds(20);
    upstream.connect_timeout = milliseconds(500);
    upstream.check = check;
    return std::make_shared<const PathPolicy>(std::move(source), HashSeed{}, nullptr);
  }
  static bool eventually(const std::function<bool()>& condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::yield();
    }
    return true;
  }
  static bool is_down(const Member& member) { return member.is_down(std::chrono::steady_clock::now()); }

  static constexpr Mark own{0x40000000, 0x40000000};
};

// Greets as a SOCKS5 proxy does, or as somebody else.
class Greeter {
 public:
  Greeter() : listener_(*listen_transparent({Address::loopback(AF_INET), 0}, {})) {
    thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
  }
  [[nodiscard]] Endpoint address() const { return *local_endpoint(listener_.raw()); }
  void say(std::string_view words) {
    const std::lock_guard lock(mutex_);
    words_ = words;
  }

 private:
  static bool is_readable(const Fd& fd) {
    pollfd waiting{fd.raw(), POLLIN, 0};
    return ::poll(&waiting, 1, 10) == 1;
  }
  void serve(const std::stop_token& stop) {
    std::vector<Fd> silent;  // connections that are answered nothing
    while (!stop.stop_requested()) {
      if (!is_readable(listener_)) continue;
      Fd peer(::accept(listener_.raw(), nullptr, nullptr));
      char greeting[3];
      while (::recv(peer.raw(), greeting, sizeof greeting, MSG_DONTWAIT) < 0 && errno == EAGAIN)
        (void)is_readable(peer);
      const std::lock_guard lock(mutex_);
      if (words_.empty())
        silent.push_back(std::move(peer));
      else
        (void)::send(peer.raw(), words_.data(), words_.size(), MSG_NOSIGNAL);
    }
  }

  std::mutex mutex_;
  std::string_view words_;
  Fd listener_;
  std::jthread thread_;
};

TEST_F(HealthCheck, TellsAProxyFromSomebodyElseByItsHandshake) {
  using namespace std::string_view_literals;
  Greeter greeter;
  const auto policy = policy_of({greeter.address()}, UpstreamCheck::handshake);
  Member& member = *policy->members(0)[0];
  PathState state;
  WorkerParts parts;
  parts.policy = policy;
  parts.checks_upstreams = true;
  const std::unique_ptr<Worker> worker =
      *Worker::create({.own_mark = own, .connect_timeout = milliseconds(500)}, state, std::move(parts));
  std::jthread thread([&] { worker->run(); });

  EXPECT_TRUE(eventually([&] { return is_down(member) && !member.refuses; }));  // it is silent
  greeter.say("\5\0"sv);
  EXPECT_TRUE(eventually([&] { return !is_down(member); }));
  greeter.say("HTTP/1.1 400 Bad Request\r\n"sv);
  EXPECT_TRUE(eventually([&] { return is_down(member) && !member.refuses; }));
  greeter.say("\5\xff"sv);
  EXPECT_TRUE(eventually([&] { return is_down(member) && member.refuses; }));
  EXPECT_GE(member.failures, 3U);
  greeter.say("\5\0"sv);
  EXPECT_TRUE(eventually([&] { return !is_down(member); }));

  state.ending = true;
  worker->wake();
}

TEST_F(HealthCheck, FollowsAnAddressThatGoesAndComesBack) {
  Fd listener = *listen_transparent({Address::loopback(AF_INET), 0}, own);
  const Endpoint address = *local_endpoint(listener.raw());
  const auto policy = policy_of({address});
  Member& member = *policy->members(0)[0];
  member.eject(std::chrono::steady_clock::now() + std::chrono::hours(1));

  PathState state;
  WorkerParts parts;
  parts.policy = policy;
  parts.checks_upstreams = true;
  const PathSettings settings{.own_mark = own, .connect_timeout = milliseconds(500)};
  const std::unique_ptr<Worker> worker = *Worker::create(settings, state, std::move(parts));
  std::jthread thread([&] { worker->run(); });

  EXPECT_TRUE(eventually([&] { return !is_down(member); }));
  listener.close();
  EXPECT_TRUE(eventually([&] { return is_down(member); }));
  listener = *listen_transparent(address, own);
  EXPECT_TRUE(eventually([&] { return !is_down(member); }));

  // Another policy is asked about from then on.
  const Fd second = *listen_transparent({Address::loopback(AF_INET), 0}, own);
  const auto next = policy_of({*local_endpoint(second.raw())});
  next->members(0)[0]->eject(std::chrono::steady_clock::now() + std::chrono::hours(1));
  worker->post([&] { worker->adopt(settings, next); });
  EXPECT_TRUE(eventually([&] { return !is_down(*next->members(0)[0]); }));

  state.ending = true;
  worker->wake();
}

}  // namespace
}  // namespace limpid
