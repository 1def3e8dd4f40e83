// SPDX-License-Identifier: MIT
// Looks at the DNS messages that a path thread relays, and tells DnsAnswers what they say. Only a response to a
// question that was seen counts, from where that went, to where it came from, with its id, name and type, and only the
// first.
#pragma once
#include "account/counters.h"
#include "policy/flow.h"
#include "proxy/dns_answers.h"

namespace limpid {

class DnsWatch {
 public:
  static constexpr ClientTableLimits questions{.entries = 8192, .entries_per_client = 512};
  static constexpr std::chrono::seconds answered_within{30};

  DnsWatch(DnsAnswers& answers, Counters& counters, const ClientTableLimits& limits = questions)
      : answers_(answers), counters_(counters), asked_(limits) {}

  // `flow`: of the client that asks, whichever way the message goes.
  void see_query(const Flow& flow, Bytes message, DnsAnswers::Clock::time_point now);
  // To be called before the client can have it.
  void see_response(const Flow& flow, Bytes message, std::chrono::milliseconds grace,
                    DnsAnswers::Clock::time_point now);

 private:
  DnsAnswers& answers_;
  Counters& counters_;
  ClientTable<DnsAnswers::Clock::time_point> asked_;  // when
};

}  // namespace limpid
