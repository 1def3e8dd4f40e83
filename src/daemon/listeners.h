// SPDX-License-Identifier: MIT
// The sockets that receive intercepted connections. They stand on the loopback addresses, so that a client whose own
// port is theirs can still be bound to, and outlive each worker.
#pragma once
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "intercept/plan.h"
#include "net/address.h"

namespace limpid {

// Sockets in place of dead ones. What has failed is tried again when they are looked at next.
struct Reopened {
  std::vector<int> sockets;
  std::vector<Error> errors;

  void take(Result<Fd> opened, Fd& place);
};

class Listeners {
 public:
  // One a thread and family; the kernel spreads connections over them (SO_REUSEPORT). A family this machine has not got
  // is left out.
  [[nodiscard]] static Result<Listeners> open(unsigned threads, Mark mark);

  [[nodiscard]] ListenerPorts ports() const { return ports_; }
  [[nodiscard]] std::vector<int> descriptors() const;  // all of a family, then all of the next
  [[nodiscard]] std::uint32_t families() const { return (ports_.ipv4 != 0) + (ports_.ipv6 != 0); }
  // Opens those again that do not listen any more, on the same port.
  [[nodiscard]] Reopened reopen_dead();

 private:
  struct Socket {
    Fd fd;
    Endpoint endpoint;
  };
  Mark mark_;
  ListenerPorts ports_;
  std::vector<Socket> sockets_;
};

}  // namespace limpid
