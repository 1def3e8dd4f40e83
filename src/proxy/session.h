// SPDX-License-Identifier: MIT
// One TCP connection pair, from accept to account. session.cc is the path, read from top to bottom.
#pragma once
#include <boost/intrusive/list.hpp>
#include <optional>
#include <string>

#include "account/access_log.h"
#include "net/socket.h"
#include "proxy/leg.h"
#include "proxy/path_policy.h"
#include "proxy/task.h"

namespace limpid {

class Worker;

class Session : public Deadline, public boost::intrusive::list_base_hook<boost::intrusive::tag<class AllSessions>> {
 public:
  // What it does now, and so what it means that its time has run out.
  enum class Phase : std::uint8_t {
    introducing,  // the end: bad_proxy_header
    identifying,  // on without an identity
    connecting,   // the end: connect_timeout
    trying,       // one address of an upstream: on to the next
    dropping,     // the end: dropped
    relaying,     // the end: idle_timeout or half_closed_timeout
  };

  // `listener`: of the user's, by which it came.
  Session(Worker& worker, Accepted accepted, std::optional<Endpoint> listener);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Worker& worker;
  Leg client;
  Leg upstream;
  AccessRecord record;
  Fd accepted;                             // until `client` has taken it
  const std::optional<Endpoint> listener;  // of the user's, by which it came; none: it was intercepted
  std::string listener_name;               // as the configuration had it then
  bool half_closed = false;                // one end has said its last
  Reactor::Clock::time_point started;

  // What was decided, if a rule has decided: the names in `record` are its.
  std::shared_ptr<const PathPolicy> policy;
  std::string host;  // what the client claims to mean
  MemberUse member;  // the address of an upstream that it goes through
  Decision decision;

  // Ends the session for this reason unless it is ending already: whoever waits is woken and told so.
  void end(CloseReason reason);
  [[nodiscard]] std::optional<CloseReason> ending() const { return ending_; }

  // Ends if the policy as it is now would have decided otherwise; one whose first bytes nobody has looked at cannot be
  // judged where a rule asks for them.
  void enforce();

  void leg_failed(Leg& leg) { end(reset_reason(leg)); }
  [[nodiscard]] CloseReason reset_reason(const Leg& leg) const {
    return &leg == &client ? CloseReason::client_reset : CloseReason::upstream_reset;
  }
  // A new phase, and how long it may take.
  void enter(Phase phase, std::chrono::milliseconds at_most);
  // The time of the phase has run out.
  void expire();
  [[nodiscard]] bool has_timed_out() const { return timed_out_; }
  // Bytes have moved: the idle time starts anew.
  void touch();

 private:
  std::optional<CloseReason> ending_;
  Phase phase_ = Phase::identifying;
  bool timed_out_ = false;  // in this phase, which goes on all the same
};

// Takes an accepted connection through its whole life. Owns itself.
Detached start_session(Worker& worker, Accepted accepted, std::optional<Endpoint> listener);

}  // namespace limpid
