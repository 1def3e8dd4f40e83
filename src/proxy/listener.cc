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
  const int family = endpoint_.family();
  const std::uint16_t port = worker_.settings().ports[family == AF_INET ? 0 : 1];
  is_the_users_ = endpoint_ != Endpoint{Address::loopback(family), port};
  adopt();
}

void Listener::adopt() {
  if (!is_the_users_ || worker_.policy()->policy().listener_at(endpoint_) != nullptr) return;
  if (!std::exchange(paused_, true)) worker_.reactor().unwatch(fd_.raw());
  dead_ = true;
  fd_.close();
}

int Listener::resume() {
  if (!paused_ || dead_) return 0;
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
  if (is_the_users_) return take_for_the_user(std::move(accepted));
  if (worker_.answer_probe(accepted)) return worker_.release_session();
  worker_.counters().accepted.add(1);
  if (accepted.destination == endpoint_) {
    worker_.refuse(accepted, CloseReason::loop);
    return worker_.release_session();
  }
  start_session(worker_, std::move(accepted), std::nullopt);
}

void Listener::take_for_the_user(Accepted accepted) {
  worker_.counters().accepted.add(1);
  const ListenerSettings* const settings = worker_.policy()->policy().listener_at(endpoint_);
  CHECK(settings != nullptr);
  std::optional<CloseReason> refused;
  if (settings->accept == Accept::proxy_protocol && !settings->trusts(accepted.client.address))
    refused = CloseReason::untrusted;
  // Its address may be anybody's, so that the rules must know it and what it leaves behind must go.
  if (settings->accept == Accept::transparent && give_mark(accepted.fd.raw(), worker_.settings().own_mark) != 0)
    refused = CloseReason::error;
  if (refused) {
    worker_.refuse(accepted, *refused);
    return worker_.release_session();
  }
  start_session(worker_, std::move(accepted), endpoint_);
}

}  // namespace limpid
