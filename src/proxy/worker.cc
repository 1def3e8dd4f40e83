// SPDX-License-Identifier: MIT
#include "proxy/worker.h"

#include <sys/eventfd.h>

#include <cerrno>

#include "base/check.h"

namespace limpid {

Result<std::unique_ptr<Worker>> Worker::create(const PathSettings& settings, PathState& state, WorkerParts parts) {
  Result<Reactor> reactor = Reactor::create();
  if (!reactor) return std::unexpected(reactor.error());
  Fd wakeup(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wakeup.is_open()) return errno_failure("eventfd", errno);
  std::unique_ptr<Worker> worker(new Worker(settings, state, std::move(parts), std::move(*reactor), std::move(wakeup)));
  if (const int refusal = worker->reactor_.watch(worker->wakeup_.fd.raw(), EPOLLIN, worker->wakeup_))
    return errno_failure("epoll_ctl", refusal);
  for (const auto& listener : worker->listeners_)
    if (const int refusal = listener->resume()) return errno_failure("epoll_ctl of a listener", refusal);
  if (worker->udp_)
    if (Result<> started = worker->udp_->start(); !started) return std::unexpected(started.error());
  return worker;
}

Worker::Worker(const PathSettings& settings, PathState& state, WorkerParts parts, Reactor reactor, Fd wakeup)
    : settings_(settings),
      state_(state),
      policy_(std::move(parts.policy)),
      reactor_(std::move(reactor)),
      access_log_(std::move(parts.access_log), counters_),
      pipes_(std::move(parts.pipes)),
      idle_(&deadlines_.of(settings.idle_timeout)),
      half_closed_(&deadlines_.of(settings.half_closed_timeout)) {
  wakeup_.fd = std::move(wakeup);
  for (Fd& fd : parts.listeners) listeners_.push_back(std::make_unique<Listener>(*this, std::move(fd)));
  if (parts.udp) udp_.emplace(*this, std::move(*parts.udp));
  if (parts.checks_upstreams) health_checks_.emplace(*this);
}

void Worker::run() {
  while (!state_.ending.load(std::memory_order_relaxed)) {
    reactor_.turn(next_deadline());
    turned_.store(true, std::memory_order_relaxed);
    if (has_posted_.load(std::memory_order_relaxed)) do_what_was_posted();
    expire_sessions();
    if (udp_) udp_->settle();
    if (health_checks_) health_checks_->settle();
    access_log_.flush();
    resume_listeners();
  }
  end_sessions();
}

void Worker::end_sessions() {
  for (const auto& listener : listeners_) listener->pause();
  for (Session& session : sessions_) session.end(CloseReason::withdrawn);
  while (!sessions_.empty()) reactor_.turn(reactor_.now());
  if (udp_) udp_->end();
  access_log_.flush();
}

void Worker::wake() const {
  const std::uint64_t one = 1;
  CHECK(::write(wakeup_.fd.raw(), &one, sizeof one) == sizeof one || errno == EAGAIN);
}

void Worker::Wakeup::on_events(std::uint32_t) {
  std::uint64_t wakes;
  CHECK(::read(fd.raw(), &wakes, sizeof wakes) == sizeof wakes || errno == EAGAIN);
}

void Worker::post(std::move_only_function<void()> work) {
  {
    const std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(work));
    has_posted_.store(true, std::memory_order_relaxed);
  }
  wake();
}

void Worker::do_what_was_posted() {
  std::vector<std::move_only_function<void()>> posted;
  {
    const std::lock_guard lock(posted_mutex_);
    posted.swap(posted_);
    has_posted_.store(false, std::memory_order_relaxed);
  }
  for (auto& work : posted) work();
}

void Worker::add_listener(Fd fd) {
  std::erase_if(listeners_, [](const auto& listener) { return listener->is_dead(); });
  listeners_.push_back(std::make_unique<Listener>(*this, std::move(fd)));
}

void Worker::adopt(const PathSettings& settings, std::shared_ptr<const PathPolicy> policy) {
  settings_ = settings;
  policy_ = std::move(policy);
  for (const auto& listener : listeners_) listener->adopt();
  idle_ = &deadlines_.of(settings.idle_timeout);
  half_closed_ = &deadlines_.of(settings.half_closed_timeout);
  if (udp_) udp_->adopt_limits();
  if (health_checks_) health_checks_->adopt();
}

void Worker::enforce() {
  for (Session& session : sessions_) session.enforce();
  if (udp_) udp_->enforce();
}

std::optional<Decision> Worker::decide(const Flow& flow, Protocol proto, std::optional<Claim> claim) const {
  return policy_->policy().decide({flow, proto, local_time_.minute(reactor_.now()), claim});
}

Decision Worker::verify(const Decision& decision, const Flow& flow, std::string_view host) const {
  const bool is_known = !decision.rule || !policy_->policy().rule(*decision.rule).verify_host ||
                        state_.dns_answers.has(flow.client.address, host, flow.destination.address, reactor_.now());
  Decision verified = decision;
  if (!is_known) verified.action = Action::unverified;
  return verified;
}

Reactor::Clock::time_point Worker::next_deadline() const {
  Reactor::Clock::time_point next = deadlines_.next(reactor_.now() + tick);
  if (health_checks_) next = health_checks_->next_deadline(next);
  return udp_ ? udp_->next_deadline(next) : next;
}

void Worker::expire_sessions() {
  while (Deadline* due = deadlines_.take_expired(reactor_.now())) static_cast<Session*>(due)->expire();
}

void Worker::resume_listeners() {
  for (const auto& listener : listeners_)
    if (listener->wants_to_resume(reactor_.now()) && state_.sessions_free.load(std::memory_order_relaxed) > 0)
      (void)listener->resume();  // ENOMEM: again at the next turn
}

bool Worker::reserve_session() {
  if (state_.sessions_free.fetch_sub(1, std::memory_order_relaxed) > 0) return true;
  release_session();
  return false;
}

void Worker::release_session() { state_.sessions_free.fetch_add(1, std::memory_order_relaxed); }

void Worker::enter(Session& session) {
  sessions_.push_back(session);
  counters_.sessions.add(1);
}

void Worker::leave(Session& session) {
  sessions_.erase(Sessions::s_iterator_to(session));
  counters_.sessions.subtract(1);
  if (!settings_.once) release_session();
}

void Worker::account(const AccessRecord& record) {
  counters_.closed[static_cast<std::size_t>(record.reason)].add(1);
  access_log_.add(record);
}

bool Worker::answer_probe(const Accepted& accepted) {
  const int family = accepted.client.family();
  // Nothing else comes from the loopback address to a documentation address: another is not served either.
  if (accepted.client.address != Address::loopback(family) || accepted.destination != probe_destination(family))
    return false;
  if (!is_probe(accepted.client)) return true;
  // An empty socket takes six bytes. If it does not, the probe gets no answer, which is what it is there to find out.
  (void)::send(accepted.fd.raw(), probe_answer.data(), probe_answer.size(), MSG_NOSIGNAL);
  return true;
}

bool Worker::is_probe(const Endpoint& client) const {
  return client.port == state_.probes[client.family() == AF_INET ? 0 : 1].load(std::memory_order_relaxed);
}

void Worker::refuse(const Accepted& accepted, CloseReason reason) {
  counters_.closed[static_cast<std::size_t>(reason)].add(1);
  access_log_.add({.time = std::chrono::system_clock::now(),
                   .client = accepted.client,
                   .destination = accepted.destination,
                   .reason = reason});
}

}  // namespace limpid
