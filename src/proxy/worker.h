// SPDX-License-Identifier: MIT
// One thread of the path: its listeners, its sessions, what they share. Nothing in it is touched by another thread but
// PathState, the counters and what is posted to it.
#pragma once
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "account/access_log.h"
#include "net/socket.h"
#include "proxy/dns_answers.h"
#include "proxy/dns_watch.h"
#include "proxy/health_checks.h"
#include "proxy/listener.h"
#include "proxy/local_time.h"
#include "proxy/path_policy.h"
#include "proxy/pipe_pool.h"
#include "proxy/reactor.h"
#include "proxy/session.h"
#include "proxy/settings.h"
#include "proxy/udp_relay.h"

namespace limpid {

// What all path threads of a worker process share.
struct PathState {
  std::atomic<std::int64_t> sessions_free{0};
  std::atomic<bool> ending{false};                     // end every session, then return from run()
  std::array<std::atomic<std::uint16_t>, 2> probes{};  // source port of the start probe, IPv4 and IPv6; 0: none
  DnsAnswers dns_answers{};                            // of the clients, where a rule verifies hosts
};

struct WorkerParts {
  std::vector<Fd> listeners;
  std::vector<Pipe> pipes;
  Fd access_log;  // write end of a pipe; may be none
  std::optional<UdpParts> udp{};
  bool checks_upstreams = false;  // for all threads
  std::shared_ptr<const PathPolicy> policy = std::make_shared<const PathPolicy>(PolicySource{}, HashSeed{}, nullptr);
};

class Worker {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Worker>> create(const PathSettings& settings, PathState& state,
                                                              WorkerParts parts);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Serves until PathState::ending.
  void run();

  // For other threads: has the thread come round since the last call?
  [[nodiscard]] bool has_turned() { return turned_.exchange(false, std::memory_order_relaxed); }
  [[nodiscard]] const Counters& counters() const { return counters_; }
  // Ends a wait of run(), so that it sees the PathState at once.
  void wake() const;
  // Has the thread do this, between two turns.
  void post(std::move_only_function<void()> work);

  // For what is posted.
  // One more listener: for one that has died, or a new one of the user's.
  void add_listener(Fd fd);
  // Other settings from now on, and another policy: sessions keep what was decided for them.
  void adopt(const PathSettings& settings, std::shared_ptr<const PathPolicy> policy);
  // Ends what the policy as it is now would not have let go where it goes.
  void enforce();
  [[nodiscard]] UdpRelay* udp() { return udp_ ? &*udp_ : nullptr; }

  // For the path.
  Counters& counters() { return counters_; }
  Reactor& reactor() { return reactor_; }
  const PathSettings& settings() const { return settings_; }
  const std::shared_ptr<const PathPolicy>& policy() const { return policy_; }
  // Nothing: it takes a claim to tell.
  [[nodiscard]] std::optional<Decision> decide(const Flow& flow, Protocol proto, std::optional<Claim> claim) const;
  // The decision about a flow that claims this host, or `unverified`, where the rule verifies hosts.
  [[nodiscard]] Decision verify(const Decision& decision, const Flow& flow, std::string_view host) const;
  [[nodiscard]] DnsAnswers& dns_answers() { return state_.dns_answers; }
  // Null where no rule verifies hosts, or that server is none of DNS.
  [[nodiscard]] DnsWatch* dns_watch(const Endpoint& server) {
    return server.port == dns_port && policy_->policy().verifies_hosts() ? &dns_watch_ : nullptr;
  }
  // What it decides cannot be done without knowing what the flow is for.
  [[nodiscard]] bool wants_host(const Decision& decision) const {
    return decision.action == Action::upstream && policy_->policy().upstream(decision.upstream).send == Send::host;
  }
  PipePool& pipes() { return pipes_; }
  std::span<char> buffer() { return buffer_; }
  Deadlines& deadlines() { return deadlines_; }
  DeadlineQueue& idle() { return *idle_; }
  DeadlineQueue& half_closed() { return *half_closed_; }

  // A place for one more session; false at the limit.
  bool reserve_session();
  void release_session();
  void enter(Session& session);
  void leave(Session& session);
  // Tells the counters and the access log how a session or flow ended.
  void account(const AccessRecord& record);
  // Is this the start probe (proxy/settings.h)? Then it gets its answer.
  bool answer_probe(const Accepted& accepted);
  [[nodiscard]] bool is_probe(const Endpoint& client) const;
  // Accounts for a connection that becomes no session.
  void refuse(const Accepted& accepted, CloseReason reason);

 private:
  // How often a paused listener looks again whether it may accept.
  static constexpr std::chrono::milliseconds tick{250};

  Worker(const PathSettings& settings, PathState& state, WorkerParts parts, Reactor reactor, Fd wakeup);
  void do_what_was_posted();
  void resume_listeners();
  void expire_sessions();
  void end_sessions();
  [[nodiscard]] Reactor::Clock::time_point next_deadline() const;

  struct Wakeup final : Pollable {
    Fd fd;
    void on_events(std::uint32_t) override;
  };

  using Sessions = boost::intrusive::list<
      Session, boost::intrusive::base_hook<boost::intrusive::list_base_hook<boost::intrusive::tag<AllSessions>>>>;

  PathSettings settings_;
  PathState& state_;
  Counters counters_;
  std::atomic<bool> turned_{true};
  std::mutex posted_mutex_;
  std::vector<std::move_only_function<void()>> posted_;
  std::atomic<bool> has_posted_{false};
  std::shared_ptr<const PathPolicy> policy_;
  LocalTime local_time_;
  Reactor reactor_;
  Wakeup wakeup_;
  AccessLog access_log_;
  PipePool pipes_;
  std::array<char, 64 * 1024> buffer_;
  DnsWatch dns_watch_{state_.dns_answers, counters_};
  Deadlines deadlines_;
  DeadlineQueue* idle_;  // of deadlines_
  DeadlineQueue* half_closed_;
  Sessions sessions_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::optional<UdpRelay> udp_;
  std::optional<HealthChecks> health_checks_;
};

}  // namespace limpid
