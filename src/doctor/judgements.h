// SPDX-License-Identifier: MIT
// What a check finds. A check that adds nothing has found nothing wrong.
#pragma once
#include <string>
#include <vector>

#include "doctor/checks.h"
#include "doctor/steering.h"

namespace limpid {

struct Judgement {
  Severity severity;
  std::string what;
  std::string mend;
};

class Judgements {
 public:
  void broken(std::string what, std::string mend) { add(Severity::broken, std::move(what), std::move(mend)); }
  void warning(std::string what, std::string mend) { add(Severity::warning, std::move(what), std::move(mend)); }
  void add(Severity severity, std::string what, std::string mend);  // once, whoever says it again
  // Could not be looked at. `error`: why.
  void not_looked_at(const Error& error);

  [[nodiscard]] const std::vector<Judgement>& all() const { return all_; }

 private:
  std::vector<Judgement> all_;
};

// The checks, one function each. Those of rules find nothing where there are none, and say so where they cannot see.
namespace checks {

// The kernel and this machine (judge_machine.cc).
void kernel_features(const Machine& machine, Judgements& judgements);
void capabilities(const Machine& machine, Judgements& judgements);
void descriptors(const Machine& machine, Judgements& judgements);
void loopback_down(const Machine& machine, Judgements& judgements);
void forwarding(const Machine& machine, Judgements& judgements);
void ipv6(const Machine& machine, Judgements& judgements);
void timestamps(const Machine& machine, Judgements& judgements);
void syn_cookies(const Machine& machine, Judgements& judgements);
void port_range(const Machine& machine, Judgements& judgements);
void bridge_netfilter(const Machine& machine, Judgements& judgements);

// Where packets are sent, and what is believed of them (judge_routes.cc).
void rp_filter(const Machine& machine, Judgements& judgements);
void src_valid_mark(const Machine& machine, Judgements& judgements);
void return_path(const Machine& machine, Judgements& judgements);
void fib_rule(const Machine& machine, Judgements& judgements);
void fib_route(const Machine& machine, Judgements& judgements);
void fib_shadowed(const Machine& machine, Judgements& judgements);

// Other people's rules (judge_firewall.cc).
void mark_conflict(const Machine& machine, Judgements& judgements);
void fib_conflict(const Machine& machine, Judgements& judgements);
void legacy_iptables(const Machine& machine, Judgements& judgements);
void input_drop(const Machine& machine, Judgements& judgements);
void forward_drop(const Machine& machine, Judgements& judgements);
void decided_first(const Machine& machine, Judgements& judgements);
void conntrack_invalid(const Machine& machine, Judgements& judgements);
void masquerade(const Machine& machine, Judgements& judgements);
void flowtable(const Machine& machine, Judgements& judgements);

// Tproxy rules that were written by hand, and who listens behind them (judge_tproxy.cc).
void listener_missing(const Machine& machine, Judgements& judgements);
void listener_address(const Machine& machine, Judgements& judgements);
void listener_not_transparent(const Machine& machine, Judgements& judgements);
void divert_order(const Machine& machine, Judgements& judgements);
void local_service(const Machine& machine, Judgements& judgements);

// Limpid itself (judge_limpid.cc).
void interface(const Machine& machine, Judgements& judgements);
void leftovers(const Machine& machine, Judgements& judgements);
void limpid_state(const Machine& machine, Judgements& judgements);

// The remarks of the survey with that name.
void repeat(const Machine& machine, std::string_view about, Judgements& judgements);
// Where there is something to break, else a warning for whoever wants to set one up.
[[nodiscard]] Severity if_wanted(const std::vector<Steering>& all);
// The tproxy rules that people wrote; nothing, and said, where they cannot be seen.
[[nodiscard]] std::vector<TproxyRule> by_hand(const Machine& machine, Judgements& judgements);

}  // namespace checks

}  // namespace limpid
