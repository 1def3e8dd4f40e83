// SPDX-License-Identifier: MIT
// Who has packets brought to this machine by their mark: limpid, and tproxy rules that were written by hand. Pure.
#pragma once
#include <string>
#include <vector>

#include "doctor/machine.h"
#include "doctor/tproxy_rules.h"

namespace limpid {

struct Steering {
  std::string who;  // "limpid", or where the rule stands
  bool is_limpid = false;
  bool is_in_effect = true;             // false: of a limpid that does not run
  std::vector<std::string> interfaces;  // where the packets come in; "*": anywhere
  std::vector<int> families;
  Mark mark{};                     // given to what comes in; mask 0: none
  std::uint32_t answers_mark = 0;  // that the answers to clients carry

  [[nodiscard]] bool concerns(const Arrival& arrival) const;
};

// Empty where the rules could not be read and limpid has no configuration.
[[nodiscard]] std::vector<Steering> steerings(const Machine& machine);

// Those of machine.arrivals that any of it concerns; where there is nothing of it: all of them.
[[nodiscard]] std::vector<Arrival> concerned(const Machine& machine, const std::vector<Steering>& all);

// The questions whose answers the checks want. `destination`: where nobody is (RFC 5737, RFC 3849).
[[nodiscard]] Address somewhere_else(int family);
[[nodiscard]] Fib::Query as_it_comes(const Arrival& arrival);
[[nodiscard]] Fib::Query marked(const Arrival& arrival, Mark mark);
[[nodiscard]] Fib::Query back_to(const Arrival& arrival, std::uint32_t mark);

// Null: it has not been asked.
[[nodiscard]] const Result<Fib::Way>* answer_to(const Machine& machine, const Fib::Query& question);

}  // namespace limpid
