// SPDX-License-Identifier: MIT
// Waiting in the supervisor's coroutines (Boost.Asio, one thread).
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <list>
#include <utility>

namespace limpid {

using Clock = std::chrono::steady_clock;

// Lets coroutines wait for what another one does.
class Signal {
 public:
  explicit Signal(boost::asio::io_context& io) : io_(io) {}

  void notify() {
    for (boost::asio::steady_timer* timer : waiting_) timer->cancel();
  }
  // Returns when notified, or at `until`; the caller looks at what it waits for again.
  boost::asio::awaitable<void> wait(Clock::time_point until) {
    boost::asio::steady_timer timer(io_, until);
    const auto place = waiting_.insert(waiting_.end(), &timer);
    boost::system::error_code ignored;  // a cancelled wait is a notified one
    co_await timer.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
    waiting_.erase(place);
  }

 private:
  boost::asio::io_context& io_;
  std::list<boost::asio::steady_timer*> waiting_;
};

// Runs it beside everything else. What it throws ends the process, and the watcher cleans up: nothing goes on half
// dead.
inline void run_beside(boost::asio::io_context& io, boost::asio::awaitable<void> coroutine) {
  boost::asio::co_spawn(io, std::move(coroutine), [](std::exception_ptr thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
}

inline boost::asio::awaitable<void> pause_for(boost::asio::io_context& io, Clock::duration duration) {
  boost::asio::steady_timer timer(io, duration);
  co_await timer.async_wait(boost::asio::use_awaitable);
}

// Watches a descriptor that somebody else owns, and who keeps it open as long.
class Watch {
 public:
  Watch(boost::asio::io_context& io, int fd) : descriptor_(io, fd), timer_(io) {}
  ~Watch() { descriptor_.release(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // True: readable, or at its end; false: not until then.
  boost::asio::awaitable<bool> readable(Clock::time_point until = Clock::time_point::max()) {
    return wait(boost::asio::posix::descriptor_base::wait_read, until);
  }
  // Likewise; of a connection: it stands, or has been refused.
  boost::asio::awaitable<bool> writable(Clock::time_point until) {
    return wait(boost::asio::posix::descriptor_base::wait_write, until);
  }
  void cancel() { descriptor_.cancel(); }

 private:
  boost::asio::awaitable<bool> wait(boost::asio::posix::descriptor_base::wait_type what, Clock::time_point until) {
    timer_.expires_at(until);
    timer_.async_wait([this](boost::system::error_code cancelled) {
      if (!cancelled) descriptor_.cancel();
    });
    boost::system::error_code error;
    co_await descriptor_.async_wait(what, boost::asio::redirect_error(boost::asio::use_awaitable, error));
    timer_.cancel();
    co_return !error;
  }

  boost::asio::posix::stream_descriptor descriptor_;
  boost::asio::steady_timer timer_;
};

}  // namespace limpid
