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

  // What could not be done although the new configuration holds, a sentence each.
  using Failures = std::vector<std::string>;

  // What can be refused comes first. An Error, with a line for each thing that is wrong: nothing has changed.
  boost::asio::awaitable<Result<Failures>> reload(Config wanted, Enforce enforce);

 private:
  boost::asio::awaitable<void> tell_worker(const Config& config);
  void change_listeners(UserListeners listeners);
  boost::asio::awaitable<void> enforce_policy(Failures& failures);
  void take_back_watched(Failures& failures);
  // The kernel has these flows no longer, and the worker has them again.
  void take_back(const KernelFlows::IsMeant& is_meant, Failures& failures);

  Config& config_;
  Preparation& prepared_;
  WorkerKeeper& worker_;
};

}  // namespace limpid
