// SPDX-License-Identifier: MIT
#include "intercept/plan.h"

namespace limpid {
namespace {

char digit(int family) { return family == AF_INET ? '4' : '6'; }

}  // namespace

std::string FibRule::text() const {
  std::string text = fmt::format("-{} rule add priority {}", digit(family), priority);
  if (!interface.empty()) text += fmt::format(" iif {}", interface);
  if (mark.mask != 0) text += fmt::format(" fwmark {}", mark.text());
  return text + fmt::format(" {} {} protocol {}", action == Action::lookup ? "lookup" : "goto", target, protocol);
}

std::string FibRoute::text() const {
  return fmt::format("-{} route add local default dev lo table {} proto {}", digit(family), table, protocol);
}

std::vector<int> families(const Plan& plan) {
  std::vector<int> result;
  for (const int family : {AF_INET, AF_INET6})
    if (plan.ports.of(family) != 0) result.push_back(family);
  return result;
}

std::vector<FibRoute> fib_routes(const Plan& plan) {
  std::vector<FibRoute> routes;
  for (const int family : families(plan)) routes.push_back({.family = family, .table = plan.settings.table});
  return routes;
}

std::vector<FibRule> fib_rules(const Plan& plan) {
  using enum FibRule::Action;
  const Intercept& settings = plan.settings;
  const std::uint32_t priority = settings.priority;
  std::vector<FibRule> rules;
  for (const int family : families(plan)) {
    // This machine's own connections, looped back by the output chain. First, because "goto" wants its target to exist.
    rules.push_back({.family = family,
                     .priority = priority + 1,
                     .interface = "lo",
                     .mark = settings.local_mark,
                     .action = lookup,
                     .target = settings.table});
    // Diverted packets: whatever their destination, they are delivered to this machine.
    rules.push_back({.family = family,
                     .priority = priority,
                     .interface = "",
                     .mark = settings.mark,
                     .action = lookup,
                     .target = settings.table});
    // The same mark on the way out (the kernel looks routes of its own up with "iif lo"): our accepted sockets carry
    // it, and with net.ipv4.conf.*.src_valid_mark=1 so does the check of a diverted packet's source, which would find
    // the local route and take the client for a martian.
    rules.push_back({.family = family,
                     .priority = priority - 1,
                     .interface = "lo",
                     .mark = settings.mark,
                     .action = go_to,
                     .target = priority + 1});
  }
  return rules;
}

}  // namespace limpid
