// SPDX-License-Identifier: MIT
// One TCP connection pair, from accept to account. session.cc is the path, read from top to bottom.
#pragma once
#include <boost/intrusive/list.hpp>
#include <optional>

#include "account/access_log.h"
#include "net/socket.h"
#include "proxy/leg.h"
#include "proxy/task.h"

namespace limpid {

class Worker;

class Session : public Deadline, public boost::intrusive::list_base_hook<boost::intrusive::tag<class AllSessions>> {
 public:
  Session(Worker& worker, Accepted accepted);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Worker& worker;
  Leg client;
  Leg upstream;
  AccessRecord record;
  Fd accepted;               // until `client` has taken it
  bool half_closed = false;  // one end has said its last
  Reactor::Clock::time_point started;

  // Ends the session for this reason unless it is ending already: whoever waits is woken and told so.
  void end(CloseReason reason);
  [[nodiscard]] std::optional<CloseReason> ending() const { return ending_; }

  void leg_failed(Leg& leg) { end(reset_reason(leg)); }
  [[nodiscard]] CloseReason reset_reason(const Leg& leg) const {
    return &leg == &client ? CloseReason::client_reset : CloseReason::upstream_reset;
  }
  // The time-out of what the session does now has run out.
  void expire();
  // Bytes have moved: the idle time starts anew.
  void touch();

 private:
  std::optional<CloseReason> ending_;
  bool connected_ = false;
  friend Task<CloseReason> serve(Session& session);
};

// Takes an accepted connection through its whole life. Owns itself.
Detached start_session(Worker& worker, Accepted accepted);

}  // namespace limpid
