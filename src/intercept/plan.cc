// SPDX-License-Identifier: MIT
#include "intercept/plan.h"

#include <algorithm>

#include "config/normalise.h"

namespace limpid {
namespace {

char digit(int family) { return family == AF_INET ? '4' : '6'; }

std::vector<PortRange> joined(std::vector<PortRange> ranges, const std::vector<PortRange>& more) {
  ranges.insert(ranges.end(), more.begin(), more.end());
  return normalise(std::move(ranges));
}

}  // namespace

std::string Instance::table() const {
  return is_foreign() ? fmt::format("inet {}{}", rules_table, name) : "inet limpid";
}

std::string Instance::guard() const {
  return is_foreign() ? fmt::format("inet {}{}", rules_guard, name) : "inet limpid_guard";
}

std::string Instance::head() const { return (stays ? "" : "\tflags owner;\n") + guard_head(); }

std::string Instance::guard_head() const {
  return is_foreign() ? fmt::format("\tcomment \"{}{}\";\n", rules_comment, protocol) : "";
}

bool Plan::steers_answers() const {
  return std::ranges::any_of(upstreams, [](const Endpoint& upstream) { return !upstream.address.is_loopback(); });
}

bool wants_kernel(const Config& config) { return config.intercept.is_wanted() || borrows_addresses(config); }

bool borrows_addresses(const Config& config) {
  return std::ranges::any_of(config.listeners, [&](const ListenerSettings& listener) {
    if (listener.accept == Accept::transparent || listener.action == action_rules) return true;
    const auto upstream = std::ranges::find(config.upstreams, listener.action, &Upstream::name);
    return upstream != config.upstreams.end() &&
           (upstream->source != Source::self || upstream->when_down == WhenDown::direct);
  });
}

Held Held::changed(const Intercept& before, const Intercept& now) const {
  Held held{.interfaces = interfaces, .tcp = tcp, .local = (local || before.local) && !now.local};
  held.interfaces.insert(held.interfaces.end(), before.interfaces.begin(), before.interfaces.end());
  held.interfaces = normalise(held.interfaces);
  std::erase_if(held.interfaces, [&](const std::string& name) {
    return std::ranges::find(now.interfaces, name) != now.interfaces.end();
  });
  held.tcp = joined(held.tcp, before.tcp);
  return held;
}

std::vector<PortRange> Plan::live_tcp() const { return joined(settings.tcp, held.tcp); }

std::vector<Endpoint> upstreams_that_see_clients(const Config& config) {
  std::vector<Endpoint> endpoints;
  for (const Upstream& upstream : config.upstreams)
    if (upstream.source != Source::self)
      endpoints.insert(endpoints.end(), upstream.address.begin(), upstream.address.end());
  std::ranges::sort(endpoints);
  endpoints.erase(std::ranges::unique(endpoints).begin(), endpoints.end());
  return endpoints;
}

Plan plan_on_paper(const Config& config, uid_t worker_uid) {
  const bool udp = !config.intercept.udp.empty();
  return {
      .settings = config.intercept,
      .borrows = borrows_addresses(config),
      .upstreams = upstreams_that_see_clients(config),
      .ports = {.ipv4 = 5300, .ipv6 = 5300},
      .udp4 = {.request = 5300, .request_df = 5301, .here = 5302, .here_df = 5303, .answer = 5304, .answer_df = 5305},
      .udp6 = {.request = 5300, .request_df = 5300, .here = 5301, .here_df = 5301, .answer = 5302, .answer_df = 5302},
      .handover = udp && config.transparency.handover == Handover::automatic,
      .rules = kernel_rules(config.rules),
      .worker_uid = worker_uid,
      .cgroup = {}};
}

std::string FibRule::text() const {
  std::string text = fmt::format("-{} rule add priority {}", digit(family), priority);
  if (from) text += fmt::format(" from {}", from->address.text());
  if (!interface.empty()) text += fmt::format(" iif {}", interface);
  if (mark.mask != 0) text += fmt::format(" fwmark {}", mark.text());
  if (from) text += fmt::format(" ipproto tcp sport {}", from->port);
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
  for (const int family : families(plan))
    routes.push_back({.family = family, .table = plan.settings.table, .protocol = plan.whose.protocol});
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
    // What upstreams on the loopback addresses answer to clients whose address we have borrowed. No rule of nftables
    // comes before the look-up of a route, which fails for a loopback source to anywhere else.
    for (const Endpoint& upstream : plan.upstreams)
      if (upstream.family() == family && upstream.address.is_loopback())
        rules.push_back({.family = family,
                         .priority = priority + 1,
                         .from = upstream,
                         .interface = "lo",
                         .mark = {},
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
  for (FibRule& rule : rules) rule.protocol = plan.whose.protocol;
  return rules;
}

}  // namespace limpid
