// SPDX-License-Identifier: MIT
// A socket that receives connections: intercepted ones, or those of a [[listener]] of the user's. Paused, it leaves
// them where they are: in the kernel's queue.
#pragma once
#include "base/fd.h"
#include "net/address.h"
#include "proxy/reactor.h"

namespace limpid {

class Worker;

class Listener final : public Pollable {
 public:
  // CHECKs that the descriptor is a socket of an IP family. It is the user's where it is none of PathSettings::ports.
  Listener(Worker& worker, Fd fd);

  // Ends for good if the policy has no such listener of the user's (any more).
  void adopt();

  [[nodiscard]] int resume();  // 0 or errno
  void pause();
  // Paused, and it is time to look again.
  [[nodiscard]] bool wants_to_resume(Reactor::Clock::time_point now) const {
    return paused_ && !dead_ && now >= not_before_;
  }
  [[nodiscard]] bool is_dead() const { return dead_; }
  void on_events(std::uint32_t events) override;

 private:
  // How long a listener leaves the kernel alone that had no descriptors or memory for it.
  static constexpr std::chrono::milliseconds shortage{100};
  // Connections accepted in a row, so that one listener does not starve the sessions.
  static constexpr int batch = 16;

  void take(struct Accepted accepted);
  void take_for_the_user(struct Accepted accepted);

  Worker& worker_;
  Fd fd_;
  Endpoint endpoint_;
  bool is_the_users_ = false;
  bool paused_ = true;
  bool dead_ = false;
  Reactor::Clock::time_point not_before_{};
};

}  // namespace limpid
