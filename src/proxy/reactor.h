// SPDX-License-Identifier: MIT
// Waiting, for one path thread: an epoll(7) set, the coroutines that are ready to go on, and time-outs.
// Why not a library's loop: docs/decisions/0003-own-readiness-loop.md.
#pragma once
#include <sys/epoll.h>

#include <algorithm>
#include <boost/intrusive/list.hpp>
#include <chrono>
#include <coroutine>
#include <map>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace limpid {

// Something epoll watches. Must stay where it is while it is watched; closing the descriptor ends the watch.
class Pollable {
 public:
  // `events` as in epoll_ctl(2). Called while a batch of events is dispatched: must not destroy a Pollable.
  virtual void on_events(std::uint32_t events) = 0;

 protected:
  ~Pollable() = default;
};

class Reactor {
 public:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] static Result<Reactor> create();

  // 0 or errno. `events` includes EPOLLET where edges are wanted.
  [[nodiscard]] int watch(int fd, std::uint32_t events, Pollable& pollable);
  void unwatch(int fd);

  // Resumes the coroutine at the end of this turn (in the next one if it is resumed in this turn's end already).
  // It must be suspended and not be posted twice.
  void post(std::coroutine_handle<> coroutine) { ready_.push_back(coroutine); }

  // `co_await reactor.yield()`: the others first, then on with this one.
  auto yield() {
    struct Yield {
      Reactor& reactor;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> coroutine) const { reactor.post(coroutine); }
      void await_resume() const noexcept {}
    };
    return Yield{*this};
  }

  // Waits until `until` at the latest (not at all if a coroutine is ready), tells the Pollables, resumes the
  // coroutines.
  void turn(Clock::time_point until);

  // The time as of the last wait.
  [[nodiscard]] Clock::time_point now() const { return now_; }

 private:
  explicit Reactor(Fd epoll) : epoll_(std::move(epoll)) {}
  void wait(Clock::time_point until);

  Fd epoll_;
  Clock::time_point now_ = Clock::now();
  std::vector<std::coroutine_handle<>> ready_;
  std::vector<std::coroutine_handle<>> resuming_;
};

// A time-out that is waited for. It leaves its queue when it is destroyed.
struct Deadline : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  Reactor::Clock::time_point at;
};

// Deadlines of one duration, which makes the order of arming the order of expiry: everything here is O(1).
class DeadlineQueue {
 public:
  explicit DeadlineQueue(std::chrono::milliseconds duration) : duration_(duration) {}

  // (Re)starts the time-out, wherever it was queued before.
  void arm(Deadline& deadline, Reactor::Clock::time_point now) {
    deadline.unlink();
    deadline.at = now + duration_;
    queue_.push_back(deadline);
  }
  // For those that are armed too: each is due as if it had been armed with this one.
  void set_duration(std::chrono::milliseconds duration) {
    for (Deadline& deadline : queue_) deadline.at += duration - duration_;
    duration_ = duration;
  }
  // The next one that is due, taken out of the queue; nullptr if there is none.
  Deadline* take_expired(Reactor::Clock::time_point now) {
    if (queue_.empty() || queue_.front().at > now) return nullptr;
    Deadline& deadline = queue_.front();
    queue_.pop_front();
    return &deadline;
  }
  // The one that was armed longest ago; nullptr if there is none.
  Deadline* front() { return queue_.empty() ? nullptr : &queue_.front(); }
  // When the next one is due, `otherwise` if none is armed.
  [[nodiscard]] Reactor::Clock::time_point next(Reactor::Clock::time_point otherwise) const {
    return queue_.empty() ? otherwise : std::min(otherwise, queue_.front().at);
  }

 private:
  std::chrono::milliseconds duration_;
  boost::intrusive::list<Deadline, boost::intrusive::constant_time_size<false>> queue_;
};

// The queues of all durations that are in use, or have been: a session keeps the time-out that it was given.
class Deadlines {
 public:
  // Stays where it is.
  [[nodiscard]] DeadlineQueue& of(std::chrono::milliseconds duration) {
    return queues_.try_emplace(duration, duration).first->second;
  }
  [[nodiscard]] Deadline* take_expired(Reactor::Clock::time_point now) {
    for (auto& [duration, queue] : queues_)
      if (Deadline* const due = queue.take_expired(now)) return due;
    return nullptr;
  }
  [[nodiscard]] Reactor::Clock::time_point next(Reactor::Clock::time_point otherwise) const {
    for (const auto& [duration, queue] : queues_) otherwise = queue.next(otherwise);
    return otherwise;
  }

 private:
  std::map<std::chrono::milliseconds, DeadlineQueue> queues_;
};

}  // namespace limpid
