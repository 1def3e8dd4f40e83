// SPDX-License-Identifier: MIT
#include "daemon/watcher_keeper.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace limpid {

WatcherKeeper::WatcherKeeper(boost::asio::io_context& io, const WatcherOrders& orders,
                             std::function<void(const std::string&)> gone)
    : io_(io), orders_(orders), gone_(std::move(gone)) {}

Result<> WatcherKeeper::start() {
  Result<Child> child = spawn("watcher");
  if (!child) return std::unexpected(child.error());
  const Fd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (!self.is_open()) return errno_failure("pidfd_open of this process", errno);
  const int descriptor = self.raw();
  child_ = std::move(*child);
  if (Result<> sent = child_->channel.send_value(MessageKind::orders, orders_, {&descriptor, 1}); !sent)
    return failure_in("start the watcher", sent);
  const Result<Message> ready = child_->channel.wait(5000);
  if (!ready || ready->kind != MessageKind::ready) return failure("start the watcher: it ended with " + reap(*child_));
  if (worker_.is_open()) {
    const int worker = worker_.raw();
    return child_->channel.send(MessageKind::worker, {}, {&worker, 1});
  }
  return {};
}

boost::asio::awaitable<void> WatcherKeeper::keep() {
  for (int deaths = 0; !standing_down_; ++deaths) {
    if (child_) {
      Watch watch(io_, child_->pidfd.raw());
      co_await watch.readable();
      if (standing_down_) break;
      gone_(reap(*child_));
      child_.reset();
    }
    if (deaths > 0)
      co_await pause_for(
          io_, std::min(std::chrono::milliseconds(50) * (1 << std::min(deaths, 7)), std::chrono::milliseconds(5000)));
    if (standing_down_) break;
    if (Result<> started = start(); !started) {
      if (child_) kill_and_reap(*child_);
      child_.reset();
      gone_(started.error().what);
    }
  }
}

void WatcherKeeper::keep_guard() {
  // A watcher that has just died is replaced, and the next one finds the guard standing.
  if (child_) (void)child_->channel.send(MessageKind::keep_guard);
}

void WatcherKeeper::watch_worker(const Child& worker) {
  worker_ = Fd(::fcntl(worker.pidfd.raw(), F_DUPFD_CLOEXEC, 0));
  const int descriptor = worker_.raw();
  // One that has just died is told by start().
  if (child_) (void)child_->channel.send(MessageKind::worker, {}, {&descriptor, 1});
}

void WatcherKeeper::stand_down() {
  standing_down_ = true;
  if (!child_) return;
  (void)child_->channel.send(MessageKind::stand_down);
  (void)reap(*child_);
  child_.reset();
}

}  // namespace limpid
