// SPDX-License-Identifier: MIT
#include "proxy/health_checks.h"

#include "proxy/upstream_connection.h"
#include "proxy/worker.h"

namespace limpid {

// Of one address: waits for its time, or for the answer to an attempt.
struct HealthChecks::Check {
  Check(HealthChecks& its_checks, std::shared_ptr<const PathPolicy> its_policy, const Upstream& its_upstream,
        std::shared_ptr<Member> its_member)
      : checks(its_checks),
        policy(std::move(its_policy)),
        upstream(its_upstream),
        member(std::move(its_member)),
        connection(checks.worker_.reactor(), [this] { conclude(); }),
        due(checks.next_time(upstream.check_interval)) {}

  // Its time has come: the next attempt, or the end of one that nobody has answered.
  void act() {
    if (connection.is_under_way()) return conclude();
    std::optional<Socks5> handshake;
    if (upstream.check == UpstreamCheck::handshake) {
      Result<Socks5> log_in = Socks5::log_in(credentials_of(upstream));
      CHECK(log_in.has_value());  // a password that is none does not get past the configuration
      handshake = *std::move(log_in);
    }
    Worker& worker = checks.worker_;
    due = worker.reactor().now() + upstream.connect_timeout;
    connection.open(member->address, worker.settings().own_mark, std::move(handshake));
    if (!connection.is_under_way()) conclude();
  }

  void conclude() {
    using State = UpstreamConnection::State;
    const Reactor::Clock::time_point until =
        checks.worker_.reactor().now() + 2 * upstream.check_interval;  // the next check comes before that
    const State state = connection.state();
    if (state == State::open)
      member->restore();
    else if (state == State::refused)
      member->eject(until, Member::Why::refuses);
    else if (state != State::failed)
      member->eject(until);
    connection.close();
    due = checks.next_time(upstream.check_interval);
  }

  HealthChecks& checks;
  std::shared_ptr<const PathPolicy> policy;
  const Upstream& upstream;  // of `policy`
  std::shared_ptr<Member> member;
  UpstreamConnection connection;
  Reactor::Clock::time_point due;
};

HealthChecks::HealthChecks(Worker& worker) : worker_(worker) { adopt(); }

HealthChecks::~HealthChecks() = default;

void HealthChecks::adopt() {
  checks_.clear();
  const std::shared_ptr<const PathPolicy>& policy = worker_.policy();
  for (std::uint32_t place = 0; place < policy->policy().upstreams().size(); ++place) {
    const Upstream& upstream = policy->policy().upstream(place);
    if (upstream.check_interval == std::chrono::milliseconds::zero()) continue;
    for (const std::shared_ptr<Member>& member : policy->members(place))
      checks_.push_back(std::make_unique<Check>(*this, policy, upstream, member));
  }
}

void HealthChecks::settle() {
  for (const auto& check : checks_)
    if (check->due <= worker_.reactor().now()) check->act();
}

Reactor::Clock::time_point HealthChecks::next_deadline(Reactor::Clock::time_point otherwise) const {
  for (const auto& check : checks_) otherwise = std::min(otherwise, check->due);
  return otherwise;
}

Reactor::Clock::time_point HealthChecks::next_time(std::chrono::milliseconds interval) {
  const auto fifth = std::max<std::int64_t>(interval.count() / 5, 1);
  const std::chrono::milliseconds shift(std::uniform_int_distribution<std::int64_t>(-fifth, fifth)(chance_));
  return worker_.reactor().now() + interval + shift;
}

}  // namespace limpid
