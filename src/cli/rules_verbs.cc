// SPDX-License-Identifier: MIT
#include "cli/rules_verbs.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>

#include "cli/verbs.h"
#include "daemon/rules_holder.h"
#include "intercept/iptables_rules.h"
#include "intercept/leftovers.h"
#include "intercept/rules_text.h"
#include "intercept/standing_rules.h"
#include "intercept/survey.h"

namespace limpid {
namespace {

namespace json = boost::json;

constexpr std::chrono::seconds lock_patience(5);
constexpr std::uint8_t protocol_static = 4;  // of what administrators add (rt_protos of iproute2)

int told(const Error& error) {
  std::fprintf(stderr, "limpid: %s\n", error.what.c_str());
  return exit_refused;
}

int wrong(const char* option, const std::string& value, const char* wanted) {
  std::fprintf(stderr, "%s: \"%s\" is not a %s\n", option, value.c_str(), wanted);
  return exit_usage;
}

// `rules`: the members that a backend has of its own.
std::string as_json(const Plan& plan, json::object rules) {
  const auto with_ip = [](const std::vector<std::string>& commands) {
    json::array list;
    for (const std::string& command : commands) list.push_back(json::string("ip " + command));
    return list;
  };
  const Intercept& settings = plan.settings;
  json::object all = {{"name", plan.whose.name},          {"protocol", plan.whose.protocol},
                      {"mark", settings.mark.text()},     {"local_mark", settings.local_mark.text()},
                      {"table", settings.table},          {"priority", settings.priority},
                      {"ip", with_ip(ip_commands(plan))}, {"undo", with_ip(ip_undo_commands(plan))}};
  for (auto& [name, value] : rules) all[name] = std::move(value);
  return json::serialize(all) + "\n";
}

int print_for_iptables(Plan plan, const Conditions& conditions, const std::string& format) {
  // No table's comment says whose it is: `remove` and others must not take it for what a set-up has left.
  plan.whose.protocol = protocol_static;
  if (format == "shell") {
    std::fputs(iptables_for_shell(plan, conditions).c_str(), stdout);
  } else if (format == "json") {
    json::object rules;
    for (const int family : families(plan)) {
      const std::vector<std::string> undo = iptables_undo(plan, conditions, family);
      const std::string tool = family == AF_INET ? "iptables" : "ip6tables";
      rules[tool] = iptables_rules(plan, conditions, family);
      rules[tool + "_undo"] = json::array(undo.begin(), undo.end());
    }
    std::fputs(as_json(plan, std::move(rules)).c_str(), stdout);
  } else if (format != "iptables") {
    return wrong("--format", format, "format: iptables, shell or json");
  } else if (families(plan).size() == 1) {
    std::fputs(iptables_rules(plan, conditions, families(plan)[0]).c_str(), stdout);
  } else {
    std::fputs(
        "--format: iptables-restore and ip6tables-restore read a text each: leave one family out, --no-ipv6 or "
        "--no-ipv4, or have both in a script, --format shell\n",
        stderr);
    return exit_usage;
  }
  return 0;
}

std::string_view state_of(const RulesInstance& instance) {
  if (instance.table == Holder::owner) return "held";
  return instance.table == Holder::nobody ? "installed" : "left by a dead hold";
}

struct Listed {
  std::string name;
  std::string_view state;
  std::uint8_t protocol;
  std::vector<std::string> lines;
};

Result<std::vector<Listed>> all_rules() {
  Result<Nft> nft = Nft::open();
  if (!nft) return std::unexpected(nft.error());
  const auto instances = rules_instances(*nft);
  if (!instances) return std::unexpected(instances.error());
  const auto orphans = orphaned_protocols(*instances);
  if (!orphans) return std::unexpected(orphans.error());
  std::vector<Listed> all;
  const auto add = [&](const RulesInstance& instance, std::string_view state) -> Result<> {
    auto lines = lines_of(instance);
    if (!lines) return std::unexpected(lines.error());
    all.push_back({instance.whose.name, state, instance.whose.protocol, std::move(*lines)});
    return {};
  };
  for (const RulesInstance& instance : *instances)
    if (const Result<> added = add(instance, state_of(instance)); !added) return std::unexpected(added.error());
  for (const std::uint8_t protocol : *orphans)
    if (const Result<> added = add({.whose = {.protocol = protocol}}, "left without a table"); !added)
      return std::unexpected(added.error());
  return all;
}

void append(Removed& to, Removed more) {
  std::ranges::move(more.what, std::back_inserter(to.what));
  std::ranges::move(more.errors, std::back_inserter(to.errors));
}

Result<Removed> remove_rules(const std::string& name) {
  Result<Nft> lock = lock_rules(lock_patience);
  if (!lock) return std::unexpected(lock.error());
  Result<Nft> nft = Nft::open();
  if (!nft) return std::unexpected(nft.error());
  const auto instances = rules_instances(*nft);
  if (!instances) return std::unexpected(instances.error());
  Removed removed;
  const auto found = std::ranges::find(*instances, name, [](const RulesInstance& one) { return one.whose.name; });
  if (found != instances->end()) {
    if (found->table == Holder::owner)
      return failure(fmt::format("they are held by a \"limpid rules hold\" that runs: end it, and they are gone"));
    if (found->whose.protocol == 0)
      return failure(fmt::format("there is a table {} that is not limpid's", found->whose.table()));
    removed = remove_standing(*nft, *found);
  }
  // Whose name nobody knows any more.
  const auto orphans = orphaned_protocols(*instances);
  if (!orphans) return std::unexpected(orphans.error());
  for (const std::uint8_t protocol : *orphans)
    append(removed, remove_standing(*nft, {.whose = {.name = name, .protocol = protocol}}));
  return removed;
}

}  // namespace

int rules_print_verb(const RulesRequest& request, const PrintOptions& options) {
  const bool is_iptables = options.backend == "iptables";
  if (!is_iptables && options.backend != "nft") return wrong("--backend", options.backend, "backend: nft or iptables");
  Result<Plan> plan = with_numbers_of(0, request.plan, request.given);
  if (plan && is_iptables) {
    if (const Result<> able = check_for_iptables(*plan); !able) plan = std::unexpected(able.error());
  }
  if (!plan) {
    (void)told(plan.error());
    return exit_usage;
  }
  plan->whose.stays = true;
  const Conditions conditions{.taking = true, .zones = options.conntrack};
  if (is_iptables) return print_for_iptables(*plan, conditions, options.format);
  if (options.format == "nft")
    std::fputs(rules_for_nft(*plan, conditions).c_str(), stdout);
  else if (options.format == "shell")
    std::fputs(rules_for_shell(*plan, conditions).c_str(), stdout);
  else if (options.format == "json")
    std::fputs(as_json(*plan, {{"nft", standing_tables(*plan, conditions)}}).c_str(), stdout);
  else
    return wrong("--format", options.format, "format: nft, shell or json");
  return 0;
}

int rules_hold_verb(const RulesRequest& request, const std::vector<std::string>& command) {
  return hold_rules(
      {.plan = request.plan, .given = request.given, .command = command, .start_timeout = request.start_timeout});
}

int rules_install_verb(const RulesRequest& request) {
  const auto install = [&]() -> Result<> {
    Result<Nft> lock = lock_rules(lock_patience);
    if (!lock) return std::unexpected(lock.error());
    Result<Nft> nft = Nft::open();
    if (!nft) return std::unexpected(nft.error());
    Plan wanted = request.plan;
    wanted.whose.stays = true;
    const Result<Plan> plan = with_free_numbers(*nft, wanted, request.given);
    if (!plan) return std::unexpected(plan.error());
    Result<Surveyor> surveyor = Surveyor::open();
    if (!surveyor) return std::unexpected(surveyor.error());
    const Result<Survey> survey = surveyor->look(*plan, {});
    if (!survey) return std::unexpected(survey.error());
    for (const Remark& remark : survey->degraded) std::fprintf(stderr, "limpid: %s\n", remark.sentence.c_str());
    return install_standing(*nft, *plan, survey->conditions(true));
  };
  if (const Result<> done = install(); !done)
    return told(done.error().in(fmt::format("install the rules \"{}\"", request.plan.whose.name)));
  return 0;
}

int rules_remove_verb(const std::string& name) {
  const Result<Removed> removed = remove_rules(name);
  if (!removed) return told(removed.error().in(fmt::format("remove the rules \"{}\"", name)));
  for (const std::string& line : removed->what) std::printf("removed: %s\n", line.c_str());
  for (const Error& error : removed->errors) (void)told(error);
  if (removed->what.empty() && removed->errors.empty())
    std::printf("there are no rules \"%s\": nothing to remove\n", name.c_str());
  return removed->errors.empty() ? 0 : exit_refused;
}

int rules_list_verb(bool json_wanted) {
  const Result<std::vector<Listed>> all = all_rules();
  if (!all) return told(all.error().in("list rules"));
  if (json_wanted) {
    json::array list;
    for (const Listed& one : *all)
      list.push_back({{"name", one.name},
                      {"state", std::string(one.state)},
                      {"protocol", one.protocol},
                      {"lines", json::array(one.lines.begin(), one.lines.end())}});
    std::printf("%s\n", json::serialize(list).c_str());
    return 0;
  }
  for (const Listed& one : *all) {
    std::printf("%s: %s, protocol %d\n", one.name.empty() ? "(no name)" : one.name.c_str(),
                std::string(one.state).c_str(), one.protocol);
    for (const std::string& line : one.lines) std::printf("    %s\n", line.c_str());
  }
  return 0;
}

}  // namespace limpid
