// SPDX-License-Identifier: MIT
// Makes the configuration of a running limpid another one: all of it, or nothing.
#pragma once
#include <boost/asio/awaitable.hpp>

#include "daemon/preparation.h"
#include "daemon/worker_keeper.h"

namespace limpid {

class Reloader {
 public:
  enum class Enforce : bool { no, yes };  // what the new policy would not have let go where it goes ends

  // `config`: as it is now, and as it will be after a reload.
  Reloader(Config& config, Preparation& prepared, WorkerKeeper& worker)
      : config_(config), prepared_(prepared), worker_(worker) {}

  // What can be refused comes first. The Error has a line for each thing that is wrong.
  boost::asio::awaitable<Result<>> reload(Config wanted, Enforce enforce);

 private:
  boost::asio::awaitable<void> tell_worker(const Config& config);
  void change_listeners(UserListeners listeners);
  void add_listeners(const std::vector<int>& listeners);
  boost::asio::awaitable<Result<>> enforce_policy();
  [[nodiscard]] Result<> take_back_watched();
  // The kernel has these flows no longer, and the worker has them again.
  [[nodiscard]] Result<> give_back(const KernelFlows::IsMeant& is_meant);

  Config& config_;
  Preparation& prepared_;
  WorkerKeeper& worker_;
};

}  // namespace limpid
