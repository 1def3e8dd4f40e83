// SPDX-License-Identifier: MIT
#include "proxy/session.h"

#include "proxy/connect.h"
#include "proxy/connect_through.h"
#include "proxy/first_bytes.h"
#include "proxy/proxy_header.h"
#include "proxy/relay.h"
#include "proxy/worker.h"

namespace limpid {
namespace {

// Of a listener whose connections all go through one upstream, or by the rules. Nothing: it takes a claim to tell.
std::optional<Decision> decision_for(const Session& session, const Flow& flow, std::optional<Claim> claim) {
  const Policy& policy = session.worker.policy()->policy();
  if (session.listener) {
    const ListenerSettings* const settings = policy.listener_at(*session.listener);
    if (settings == nullptr) return Decision{Action::reject};  // a reload has taken it away
    if (const std::optional<std::uint32_t> upstream = policy.upstream_of(*settings))
      return Decision{.action = Action::upstream, .upstream = *upstream};
  }
  return session.worker.decide(flow, Protocol::tcp, claim);
}

// A rule that looks at the first bytes has the session wait for them, and so has an upstream that is told a host; no
// other does.
Task<Decision> decide(Session& session, const Flow& flow) {
  const Worker& worker = session.worker;
  const std::optional<Decision> decision = decision_for(session, flow, std::nullopt);
  if (decision && !worker.wants_host(*decision)) co_return *decision;
  const Identity identity = co_await identify(session);
  session.host = identity.host;
  session.record.host = session.host;
  session.record.app = identity.application;
  const std::optional<Decision> by_claim = decision_for(session, flow, Claim{session.host, identity.application});
  co_return worker.verify(*by_claim, flow, session.host);
}

}  // namespace

// The path of a connection: accept has happened, then whose it is, identify, decide, connect, relay.
Task<CloseReason> serve(Session& session) {
  if (session.client.open(std::move(session.accepted)) != 0) co_return CloseReason::error;
  if (session.listener) {
    if (const ListenerSettings* const settings = session.worker.policy()->policy().listener_at(*session.listener))
      session.record.listener = session.listener_name = settings->name;
    const std::optional<CloseReason> refused = co_await take_proxy_header(session);
    if (refused) co_return *refused;
  }
  const Flow flow{session.record.client, session.record.destination};

  const Decision decision = co_await decide(session, flow);
  if (session.ending()) co_return *session.ending();
  session.decision = decision;
  if (decision.rule || decision.action == Action::upstream) session.policy = session.worker.policy();
  if (decision.rule) session.record.rule = session.policy->policy().rule(*decision.rule).name;

  std::optional<CloseReason> refused;
  switch (decision.action) {
    case Action::direct:
      refused = co_await connect_as_client(session, flow);
      break;
    case Action::upstream:
      refused = co_await connect_through(session, flow, decision.upstream);
      break;
    case Action::reject:
      refused = CloseReason::rejected;
      break;
    case Action::drop:
      refused = CloseReason::dropped;
      break;
    case Action::unverified:
      refused = CloseReason::unverified;
      break;
  }
  // Without a word, for as long as an attempt to connect may take.
  if (refused == CloseReason::dropped)
    session.enter(Session::Phase::dropping, session.worker.settings().connect_timeout);
  while (refused == CloseReason::dropped && !session.client.is_hung_up() && !session.client.has_failed())
    if (!co_await session.client.readable()) break;
  if (refused) co_return session.ending().value_or(*refused);

  session.enter(Session::Phase::relaying, session.worker.settings().idle_timeout);
  co_return co_await relay(session);
}

Detached start_session(Worker& worker, Accepted accepted, std::optional<Endpoint> listener) {
  Session session(worker, std::move(accepted), listener);
  session.record.reason = co_await serve(session);
  // Anything but an orderly end is a reset for both ends: the sockets still have SO_LINGER {1,0}.
  if (session.record.reason == CloseReason::done) {
    close_in_order(session.client.release());
    close_in_order(session.upstream.release());
  }
  session.record.duration = worker.reactor().now() - session.started;
  worker.account(session.record);
}

Session::Session(Worker& its_worker, Accepted its_accepted, std::optional<Endpoint> its_listener)
    : worker(its_worker),
      client(its_worker.reactor(), *this),
      upstream(its_worker.reactor(), *this),
      accepted(std::move(its_accepted.fd)),
      listener(its_listener) {
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

void Session::enforce() {
  if (phase_ == Phase::introducing || phase_ == Phase::identifying) return;  // the policy as it is now will decide
  std::optional<Claim> claim;
  if (record.app) claim = Claim{host, *record.app};
  const std::optional<Decision> now = decision_for(*this, {record.client, record.destination}, claim);
  if (now && differs(policy.get(), decision, *worker.policy(), *now)) end(CloseReason::rejected);
}

void Session::enter(Phase phase, std::chrono::milliseconds at_most) {
  phase_ = phase;
  timed_out_ = false;
  worker.deadlines().of(at_most).arm(*this, worker.reactor().now());
}

void Session::expire() {
  switch (phase_) {
    case Phase::introducing:
      return end(CloseReason::bad_proxy_header);
    case Phase::identifying:
      timed_out_ = true;
      return client.wake_all();
    case Phase::trying:
      timed_out_ = true;
      return upstream.wake_all();
    case Phase::connecting:
      return end(CloseReason::connect_timeout);
    case Phase::dropping:
      return end(CloseReason::dropped);
    case Phase::relaying:
      return end(half_closed ? CloseReason::half_closed_timeout : CloseReason::idle_timeout);
  }
}

void Session::touch() { (half_closed ? worker.half_closed() : worker.idle()).arm(*this, worker.reactor().now()); }

}  // namespace limpid
