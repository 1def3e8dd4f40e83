// SPDX-License-Identifier: MIT
#include "doctor/steering.h"

#include <algorithm>

#include "doctor/checks.h"
#include "proxy/settings.h"

namespace limpid {

bool Steering::concerns(const Arrival& arrival) const {
  return std::ranges::find(families, arrival.client.family()) != families.end() &&
         is_named(arrival.interface, interfaces);
}

std::vector<Steering> steerings(const Machine& machine) {
  std::vector<Steering> all;
  if (machine.config && machine.config->intercept.is_wanted()) {
    const Intercept& settings = machine.config->intercept;
    all.push_back({.who = "limpid",
                   .is_limpid = true,
                   .is_in_effect = machine.is_running && !machine.has_other_config,
                   .interfaces = settings.interfaces,
                   .families = {AF_INET, AF_INET6},
                   .mark = settings.mark,
                   .answers_mark = settings.own_mark.with(settings.mark).bits});
  }
  if (!machine.chains) return all;
  for (const TproxyRule& rule : tproxy_rules(*machine.chains))
    all.push_back({.who = fmt::format("{} (\"{}\")", where(rule.chain), rule.text()),
                   .interfaces = rule.interfaces.empty() ? std::vector<std::string>{"*"} : rule.interfaces,
                   .families = rule.families,
                   .mark = {rule.mark, rule.mark}});
  return all;
}

std::vector<Arrival> concerned(const Machine& machine, const std::vector<Steering>& all) {
  if (all.empty()) return machine.arrivals;
  std::vector<Arrival> found;
  for (const Arrival& arrival : machine.arrivals)
    if (std::ranges::any_of(all, [&](const Steering& one) { return one.concerns(arrival); })) found.push_back(arrival);
  return found;
}

Address somewhere_else(int family) { return probe_destination(family).address; }

Fib::Query as_it_comes(const Arrival& arrival) {
  return {.interface = arrival.interface, .mark = {}, .source = arrival.client, .destination = arrival.own};
}

Fib::Query marked(const Arrival& arrival, Mark mark) {
  return {.interface = arrival.interface,
          .mark = mark,
          .source = arrival.client,
          .destination = somewhere_else(arrival.client.family())};
}

Fib::Query back_to(const Arrival& arrival, std::uint32_t mark) {
  return {.interface = "",
          .mark = {mark, mark},
          .source = Address::any(arrival.client.family()),
          .destination = arrival.client};
}

const Result<Fib::Way>* answer_to(const Machine& machine, const Fib::Query& question) {
  const auto found = std::ranges::find(machine.routes, question, &RouteAnswer::question);
  return found == machine.routes.end() ? nullptr : &found->way;
}

std::vector<Fib::Query> route_questions(const Machine& machine) {
  std::vector<Fib::Query> questions;
  const auto add = [&](const Fib::Query& question) {
    if (std::ranges::find(questions, question) == questions.end()) questions.push_back(question);
  };
  const std::vector<Steering> all = steerings(machine);
  for (const Arrival& arrival : concerned(machine, all)) {
    add(as_it_comes(arrival));
    if (all.empty()) add(back_to(arrival, 0));
    for (const Steering& one : all) {
      if (!one.concerns(arrival)) continue;
      add(back_to(arrival, one.is_in_effect ? one.answers_mark : 0));
      if (one.is_in_effect && one.mark.mask != 0) add(marked(arrival, one.mark));
    }
  }
  return questions;
}

}  // namespace limpid
