// SPDX-License-Identifier: MIT
#include "intercept/rules_text.h"

#include <algorithm>

#include "intercept/guard.h"
#include "intercept/iptables_rules.h"
#include "intercept/ruleset.h"

namespace limpid {
namespace {

std::string headline(const Plan& plan) {
  std::string where;
  for (const int family : families(plan))
    where += fmt::format("{}{}", where.empty() ? "" : " and ", plan.listener(family).text());
  return fmt::format("# For the proxy \"{}\", whose transparent sockets take what comes to {}.\n", plan.whose.name,
                     where);
}

std::string lines(const std::vector<std::string>& commands, std::string_view before) {
  std::string text;
  for (const std::string& command : commands) text += fmt::format("{}ip {}\n", before, command);
  return text;
}

std::string without_tables(const Plan& plan, std::string_view before) {
  std::string text = fmt::format("{}nft delete table {}\n", before, plan.whose.table());
  if (plan.settings.without_us == WithoutUs::closed)
    text = fmt::format("{}nft delete table {}\n", before, plan.whose.guard()) + text;
  return text;
}

}  // namespace

std::string standing_tables(const Plan& plan, const Conditions& conditions) {
  std::string text = fmt::format("add table {0}\ndelete table {0}\nadd table {1}\ndelete table {1}\n",
                                 plan.whose.table(), plan.whose.guard());
  if (plan.settings.without_us == WithoutUs::closed) text += guard(plan);
  return text + ruleset(plan, conditions);
}

std::vector<std::string> ip_commands(const Plan& plan) {
  std::vector<std::string> commands;
  for (const FibRoute& route : fib_routes(plan)) commands.push_back(route.text());
  for (const FibRule& rule : fib_rules(plan)) commands.push_back(rule.text());
  return commands;
}

std::vector<std::string> ip_undo_commands(const Plan& plan) {
  std::vector<std::string> commands = ip_commands(plan);
  std::ranges::reverse(commands);
  for (std::string& command : commands) command.replace(command.find(" add "), 5, " del ");
  return commands;
}

std::string rules_for_nft(const Plan& plan, const Conditions& conditions) {
  return fmt::format("#!/usr/sbin/nft -f\n{}# These go before, for ip(8):\n{}\n{}", headline(plan),
                     lines(ip_commands(plan), "#   "), standing_tables(plan, conditions));
}

std::string rules_for_shell(const Plan& plan, const Conditions& conditions) {
  return fmt::format(
      "#!/bin/sh\n{}set -e\n{}nft -f - <<'END_OF_RULES'\n{}END_OF_RULES\n# To take it back, \"limpid rules remove {}\" "
      "or:\n{}{}",
      headline(plan), lines(ip_commands(plan), ""), standing_tables(plan, conditions), plan.whose.name,
      without_tables(plan, "#   "), lines(ip_undo_commands(plan), "#   "));
}

std::string iptables_for_shell(const Plan& plan, const Conditions& conditions) {
  std::string text = fmt::format("#!/bin/sh\n{}set -e\n{}", headline(plan), lines(ip_commands(plan), ""));
  std::string undo = "# To take it back:\n";
  for (const int family : families(plan)) {
    text += fmt::format("ip{}tables-restore --noflush <<'END_OF_RULES'\n{}END_OF_RULES\n", family == AF_INET ? "" : "6",
                        iptables_rules(plan, conditions, family));
    for (const std::string& command : iptables_undo(plan, conditions, family)) undo += fmt::format("#   {}\n", command);
  }
  return text + undo + lines(ip_undo_commands(plan), "#   ");
}

}  // namespace limpid
