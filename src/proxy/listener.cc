// SPDX-License-Identifier: MIT
#include "proxy/listener.h"

#include <sys/socket.h>

#include <cerrno>

#include "base/check.h"
#include "net/socket.h"
#include "proxy/session.h"
#include "proxy/worker.h"

namespace limpid {

Listener::Listener(Worker& worker, Fd fd) : worker_(worker), fd_(std::move(fd)) {
  const Result<Endpoint> endpoint = local_endpoint(fd_.raw());
  CHECK(endpoint.has_value());
  endpoint_ = *endpoint;
}

int Listener::resume() {
  if (!paused_) return 0;
  const int refusal = worker_.reactor().watch(fd_.raw(), EPOLLIN, *this);
  paused_ = refusal != 0;
  return refusal;
}

void Listener::pause() {
  if (paused_) return;
  worker_.reactor().unwatch(fd_.raw());
  paused_ = true;
  worker_.counters().accept_pauses.add(1);
}

void Listener::on_events(std::uint32_t) {
  for (int i = 0; i < batch; ++i) {
    if (!worker_.reserve_session()) return pause();
    std::expected<Accepted, int> accepted = accept_client(fd_.raw());
    if (accepted) {
      take(std::move(*accepted));
      continue;
    }
    worker_.release_session();
    switch (accepted.error()) {
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        not_before_ = worker_.reactor().now() + shortage;
        return pause();
      case EAGAIN:
        return;
      case EINVAL:  // somebody has ended the listener (SOCK_DESTROY): the supervisor will send another
        dead_ = true;
        return pause();
      // The connection has died in the queue, or the network reported its error here (accept(2)): on to the next.
      default:
        break;
    }
  }
}

void Listener::take(Accepted accepted) {
  if (worker_.answer_probe(accepted)) return worker_.release_session();
  worker_.counters().accepted.add(1);
  if (accepted.destination == endpoint_) {
    worker_.refuse_loop(accepted);
    return worker_.release_session();
  }
  start_session(worker_, std::move(accepted));
}

}  // namespace limpid
