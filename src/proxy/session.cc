// SPDX-License-Identifier: MIT
#include "proxy/session.h"

#include "proxy/connect.h"
#include "proxy/relay.h"
#include "proxy/worker.h"

namespace limpid {

// The path of a connection: accept has happened, then identify, decide, connect, relay.
Task<CloseReason> serve(Session& session) {
  const Flow flow{session.record.client, session.record.destination};

  switch (session.worker.policy().decide(flow)) {
    case Decision::direct:
      break;
  }

  if (session.client.open(std::move(session.accepted)) != 0) co_return CloseReason::error;
  session.worker.connecting().arm(session, session.worker.reactor().now());
  if (const std::optional<CloseReason> refused = co_await connect_as_client(session, flow)) co_return *refused;

  session.connected_ = true;
  session.touch();
  co_return co_await relay(session);
}

Detached start_session(Worker& worker, Accepted accepted) {
  Session session(worker, std::move(accepted));
  session.record.reason = co_await serve(session);
  // Anything but an orderly end is a reset for both ends: the sockets still have SO_LINGER {1,0}.
  if (session.record.reason == CloseReason::done) {
    close_in_order(session.client.release());
    close_in_order(session.upstream.release());
  }
  session.record.duration = worker.reactor().now() - session.started;
  worker.account(session.record);
}

Session::Session(Worker& its_worker, Accepted its_accepted)
    : worker(its_worker),
      client(its_worker.reactor(), *this),
      upstream(its_worker.reactor(), *this),
      accepted(std::move(its_accepted.fd)) {
  record.time = std::chrono::system_clock::now();
  record.client = its_accepted.client;
  record.destination = its_accepted.destination;
  started = worker.reactor().now();
  worker.enter(*this);
}

Session::~Session() { worker.leave(*this); }

void Session::end(CloseReason reason) {
  if (!ending_) ending_ = reason;
  client.cancel();
  upstream.cancel();
}

void Session::expire() {
  if (!connected_)
    end(CloseReason::connect_timeout);
  else
    end(half_closed ? CloseReason::half_closed_timeout : CloseReason::idle_timeout);
}

void Session::touch() { (half_closed ? worker.half_closed() : worker.idle()).arm(*this, worker.reactor().now()); }

}  // namespace limpid
