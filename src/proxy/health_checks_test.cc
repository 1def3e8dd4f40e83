// SPDX-License-Identifier: MIT
// Against sockets of this machine, with a worker that runs beside the test.
#include "proxy/health_checks.h"

#include <sys/socket.h>

#include <thread>

#include "net/fresh_namespace.h"
#include "net/socket.h"
#include "proxy/worker.h"

namespace limpid {
namespace {

using std::chrono::milliseconds;

class HealthCheck : public FreshNamespace {
 protected:
  static std::shared_ptr<const PathPolicy> policy_of(const std::vector<Endpoint>& addresses) {
    PolicySource source;
    Upstream& upstream = source.upstreams.emplace_back();
    upstream.name = "office";
    upstream.address = addresses;
    upstream.check_interval = milliseconds(20);
    upstream.connect_timeout = milliseconds(500);
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
