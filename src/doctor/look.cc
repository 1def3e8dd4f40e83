// SPDX-License-Identifier: MIT
#include "doctor/look.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>

#include "api/control.h"
#include "config/load.h"
#include "daemon/account.h"
#include "daemon/worker_settings.h"
#include "doctor/checks.h"
#include "doctor/features.h"
#include "intercept/xt_rules.h"
#include "net/proc.h"

namespace limpid {
namespace {

namespace json = boost::json;

constexpr std::chrono::seconds answer_patience(5);

void look_at_limpid(const std::optional<Config>& named, const std::string& control_socket, Machine& machine) {
  machine.config = named;
  Result<std::optional<Running>> running = ask_running(control_socket);
  if (!running) {
    machine.asked = std::unexpected(running.error());
    return;
  }
  if (!*running) return;
  machine.is_running = true;
  machine.state = (*running)->state;
  machine.degraded = (*running)->degraded;
  machine.has_other_config = named && named->intercept != (*running)->config.intercept;
  if (!named) machine.config = (*running)->config;
}

std::uint64_t capabilities(std::string_view name) {
  const std::string status = "\n" + proc_text("/proc/thread-self/status").value_or("");
  const std::size_t at = status.find(fmt::format("\n{}:\t", name));
  if (at == std::string::npos) return 0;
  std::uint64_t bits = 0;
  const char* const begin = status.data() + at + name.size() + 3;
  std::from_chars(begin, status.data() + status.size(), bits, 16);
  return bits;
}

void look_at_limits(Machine& machine) {
  machine.is_root = ::geteuid() == 0;
  machine.capabilities = capabilities(machine.is_root ? "CapEff" : "CapBnd");
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  machine.descriptors = limit.rlim_max;
  machine.budget = session_budget(limit.rlim_max, 2 * std::min<std::uint64_t>(most_pipes, limit.rlim_max / 32));
}

void read_setting(const std::string& key, Machine& machine) {
  std::optional<std::string> text = proc_text("/proc/sys/net/" + key);
  if (!text) return;
  while (!text->empty() && text->back() == '\n') text->pop_back();
  machine.settings[key] = *std::move(text);
}

void look_at_settings(Machine& machine) {
  for (const char* const key : {"ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv4/tcp_timestamps",
                                "ipv4/ip_local_port_range", "ipv4/ip_local_reserved_ports", "ipv4/tcp_syncookies",
                                "bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables"})
    read_setting(key, machine);
  std::vector<std::string> interfaces = {"all"};
  for (const Link& link : machine.links) interfaces.push_back(link.name);
  for (const std::string& interface : interfaces) {
    for (const char* const name : {"rp_filter", "src_valid_mark", "forwarding"})
      read_setting(fmt::format("ipv4/conf/{}/{}", interface, name), machine);
    read_setting(fmt::format("ipv6/conf/{}/disable_ipv6", interface), machine);
  }
}

template <class Value>
void keep(Result<Value> result, Value& value, Machine& machine) {
  if (result)
    value = *std::move(result);
  else
    machine.chains = std::unexpected(result.error());  // what is judged by them is judged by all of it
}

void look_at_fib(Machine& machine) {
  Result<Fib> fib = Fib::open();
  if (!fib) return keep<std::vector<FibRule>>(std::unexpected(fib.error()), machine.fib_rules, machine);
  for (const int family : {AF_INET, AF_INET6}) {
    auto rules = fib->rules(family);
    if (!rules) return keep<std::vector<FibRule>>(std::unexpected(rules.error()), machine.fib_rules, machine);
    std::ranges::move(*rules, std::back_inserter(machine.fib_rules));
    if (machine.is_owned) continue;
    for (const FibRule& rule : machine.fib_rules)
      if (rule.family == family && rule.protocol == limpid_protocol) machine.leftovers.push_back("ip " + rule.text());
    const auto routes = fib->our_routes(family);
    if (!routes) return keep<std::vector<FibRule>>(std::unexpected(routes.error()), machine.fib_rules, machine);
    for (const FibRoute& route : *routes) machine.leftovers.push_back("ip " + route.text());
  }
}

void look_at_rules(Machine& machine) {
  Result<Nft> nft = Nft::open();
  const Result<std::string> listing = nft ? nft->list_with_handles("ruleset") : std::unexpected(nft.error());
  const auto of_iptables = xt_rules();
  if (!listing || !of_iptables) {
    machine.chains = std::unexpected(listing ? of_iptables.error() : listing.error());
    return;
  }
  machine.chains = parse_whole_ruleset(with_xt_told(*listing, *of_iptables));
  const auto ours = holder_of(*nft, "inet limpid");
  machine.is_owned = ours && *ours == Holder::owner;
  machine.has_foreign_table = ours && *ours == Holder::nobody;
  const auto guard = holder_of(*nft, "inet limpid_guard");
  if (machine.is_owned || !guard || *guard == Holder::none) return;
  machine.has_guard = true;
  machine.leftovers.emplace_back("table inet limpid_guard");
}

Plan plan_of(const Machine& machine, const Config& config) {
  Plan plan = plan_on_paper(config, nameless_worker.uid);
  if (!proc_text("/proc/thread-self/net/if_inet6")) plan.ports.ipv6 = 0;
  if (!machine.config) plan.handover = false;
  return plan;
}

Result<Survey> survey_of(const Plan& plan) {
  Result<Surveyor> surveyor = Surveyor::open();
  if (!surveyor) return std::unexpected(surveyor.error());
  return surveyor->look(plan, {});
}

void ask_for_routes(Machine& machine) {
  Result<Fib> fib = Fib::open();
  if (!fib) return;  // look_at_fib() has said so
  for (const Fib::Query& question : route_questions(machine)) machine.routes.push_back({question, fib->way(question)});
}

}  // namespace

int Machine::setting_of(const std::string& interface, const std::string& name) const {
  int greatest = 0;
  for (const std::string& where : {std::string("all"), interface}) {
    const std::string text = setting(fmt::format("ipv4/conf/{}/{}", where, name));
    int value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    greatest = std::max(greatest, value);
  }
  return greatest;
}

Result<std::optional<Running>> ask_running(const std::string& control_socket) {
  const Result<std::string> status = ask(control_socket, "status", answer_patience);
  if (!status && is_nobody_there(status.error())) return std::nullopt;
  const Result<std::string> config = status ? ask(control_socket, "config", answer_patience) : status;
  if (!config) return failure_in("ask the limpid that runs", config);
  boost::system::error_code wrong;
  const json::value told = json::parse(*status, wrong), text = json::parse(*config, wrong);
  if (wrong || !told.is_object() || !text.is_string()) return failure(control_socket + ": the answer is not limpid's");
  const auto settings = load_config_text(std::string(text.as_string()), "the configuration of the limpid that runs");
  if (!settings) return failure(settings.error().front().text());
  Running running{.config = *settings, .state = "", .degraded = {}};
  if (const json::value* const state = told.as_object().if_contains("state"); state != nullptr && state->is_string())
    running.state = state->as_string();
  if (const json::value* const list = told.as_object().if_contains("degraded"); list != nullptr && list->is_array())
    for (const json::value& sentence : list->as_array())
      if (sentence.is_string()) running.degraded.emplace_back(sentence.as_string());
  return running;
}

Machine look_at_machine(const std::optional<Config>& named, const std::string& control_socket) {
  Machine machine;
  look_at_limpid(named, control_socket, machine);
  look_at_limits(machine);
  look_at_rules(machine);
  look_at_fib(machine);
  keep(waiting_sockets(), machine.sockets, machine);
  keep(links(), machine.links, machine);
  keep(arrivals(), machine.arrivals, machine);
  look_at_settings(machine);
  const Plan plan = plan_of(machine, machine.config.value_or(Config{}));
  machine.survey = survey_of(plan);
  ask_for_routes(machine);
  machine.features = try_features(plan);
  return machine;
}

}  // namespace limpid
