// SPDX-License-Identifier: MIT
// Keeps a watcher process alive, which cleans up should this process die.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <optional>

#include "daemon/orders.h"
#include "daemon/spawn.h"
#include "daemon/waiting.h"

namespace limpid {

class WatcherKeeper {
 public:
  WatcherKeeper(boost::asio::io_context& io, const WatcherOrders& orders,
                std::function<void(const std::string& how)> gone);

  // The first watcher must stand before anything is installed. Waits until it is ready.
  [[nodiscard]] Result<> start();
  // Replaces a watcher that died, until stand_down().
  boost::asio::awaitable<void> keep();

  // The guard of without_us = "closed" is to outlive us. Until then a watcher leaves only one that stood before it.
  void keep_guard();
  void watch_worker(const Child& worker);
  // Everything has been withdrawn: there is nothing to clean up.
  void stand_down();
  [[nodiscard]] pid_t pid() const { return child_ ? child_->pid : 0; }

 private:
  boost::asio::io_context& io_;
  WatcherOrders orders_;
  std::function<void(const std::string&)> gone_;
  std::optional<Child> child_;
  Fd worker_;
  bool standing_down_ = false;
};

}  // namespace limpid
