// SPDX-License-Identifier: MIT
// The sockets of the listeners that the user has named ([[listener]]). They outlive each worker.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "daemon/listeners.h"
#include "net/socket.h"
#include "policy/listener.h"

namespace limpid {

class UserListeners {
 public:
  // One a thread at each place; the kernel spreads connections over them. Refused where somebody else listens already.
  [[nodiscard]] static Result<UserListeners> open(std::span<const ListenerSettings> listeners, unsigned threads);

  // Those of other settings: sockets at the same place are shared with `this`, for the accepting goes on. Places whose
  // options differ must have been refused before (daemon/reload.h).
  [[nodiscard]] Result<UserListeners> changed_to(std::span<const ListenerSettings> listeners) const;

  [[nodiscard]] std::vector<int> descriptors() const;  // by place, then by thread
  // Those that `other` has not got.
  [[nodiscard]] std::vector<int> descriptors_beyond(const UserListeners& other) const;
  [[nodiscard]] std::uint32_t places() const { return static_cast<std::uint32_t>(places_.size()); }
  // Opens those again that do not listen any more.
  [[nodiscard]] Reopened reopen_dead();
  // They take no more: what waits in them is reset (shutdown(2)).
  void shut() const;

 private:
  struct Place {
    Endpoint at;
    ServiceOptions options;
    std::vector<std::shared_ptr<Fd>> sockets;  // one a thread
  };
  [[nodiscard]] static Result<Place> open_place(const Endpoint& at, const ServiceOptions& options, unsigned threads);
  [[nodiscard]] const Place* place_at(const Endpoint& at) const;

  unsigned threads_ = 1;
  std::vector<Place> places_;
};

}  // namespace limpid
