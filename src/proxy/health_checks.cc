// SPDX-License-Identifier: MIT
#include "proxy/health_checks.h"

#include <cerrno>

#include "net/socket.h"
#include "proxy/worker.h"

namespace limpid {

// Of one address: waits for its time, or for the answer to a connection attempt.
struct HealthChecks::Check final : Pollable {
  Check(HealthChecks& its_checks, const Upstream& upstream, std::shared_ptr<Member> its_member)
      : checks(its_checks),
        interval(upstream.check_interval),
        timeout(upstream.connect_timeout),
        member(std::move(its_member)),
        due(checks.next_time(interval)) {}

  void on_events(std::uint32_t) override { conclude(pending_error(fd.raw())); }

  // Its time has come: the next attempt, or the end of one that nobody has answered.
  void act() {
    if (fd.is_open()) return conclude(ETIMEDOUT);
    Worker& worker = checks.worker_;
    due = worker.reactor().now() + timeout;
    std::expected<Fd, int> opened = upstream_socket(member->address.family(), worker.settings().own_mark);
    if (!opened) return;  // of our own: it says nothing about the upstream
    fd = std::move(*opened);
    const int started = start_connect(fd.raw(), member->address);
    if (started != EINPROGRESS) return conclude(started);
    if (worker.reactor().watch(fd.raw(), EPOLLOUT, *this) != 0) fd.close();
  }

  void conclude(int error) {
    const Reactor::Clock::time_point now = checks.worker_.reactor().now();
    if (error == 0) {
      close_in_order(std::move(fd));
      member->restore();
    } else {
      fd.close();
      member->eject(now + 2 * interval);  // the next check comes before that
    }
    due = checks.next_time(interval);
  }

  HealthChecks& checks;
  std::chrono::milliseconds interval, timeout;
  std::shared_ptr<Member> member;
  Fd fd;  // of an attempt under way
  Reactor::Clock::time_point due;
};

HealthChecks::HealthChecks(Worker& worker) : worker_(worker) { adopt(); }

HealthChecks::~HealthChecks() = default;

void HealthChecks::adopt() {
  checks_.clear();
  const PathPolicy& policy = *worker_.policy();
  for (std::uint32_t place = 0; place < policy.policy().upstreams().size(); ++place)
    for (const std::shared_ptr<Member>& member : policy.members(place)) {
      if (policy.policy().upstream(place).check_interval == std::chrono::milliseconds::zero()) continue;
      checks_.push_back(std::make_unique<Check>(*this, policy.policy().upstream(place), member));
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
