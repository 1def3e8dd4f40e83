// SPDX-License-Identifier: MIT
#include <algorithm>

#include "doctor/judgements.h"

namespace limpid::checks {

void interface(const Machine& machine, Judgements& judgements) {
  if (!machine.config) return;
  for (const std::string& pattern : machine.config->intercept.interfaces) {
    const bool is_there =
        std::ranges::any_of(machine.links, [&](const Link& link) { return is_named(link.name, {pattern}); });
    if (!is_there) judgements.warning(fmt::format("there is no interface {} at the moment", pattern), "ip link");
  }
  for (const Link& link : machine.links)
    if (!link.is_up && is_named(link.name, machine.config->intercept.interfaces))
      judgements.warning(fmt::format("the interface {} is down", link.name),
                         fmt::format("ip link set {} up", link.name));
}

void leftovers(const Machine& machine, Judgements& judgements) {
  if (!machine.chains) return judgements.not_looked_at(machine.chains.error());
  if (machine.is_owned) return;
  for (const std::string& line : machine.leftovers)
    judgements.add(
        machine.has_guard ? Severity::broken : Severity::warning,
        machine.has_guard ? "no limpid runs, and its guard refuses connections" : "a dead limpid has left: " + line,
        "limpid withdraw");
}

void limpid_state(const Machine& machine, Judgements& judgements) {
  if (!machine.asked) return judgements.not_looked_at(machine.asked.error());
  if (!machine.is_running) {
    if (machine.is_owned)
      judgements.not_looked_at(
          {"a limpid runs here (it owns the table inet limpid) whose control socket is another: name "
           "it with --socket"});
    return;
  }
  if (machine.state == "no_worker")
    judgements.broken("the limpid that runs has no worker at the moment: connections go direct", "limpid status");
  else if (machine.state != "ready")
    judgements.warning(fmt::format("the limpid that runs is {}", machine.state), "limpid status");
  if (machine.has_other_config)
    judgements.warning("the limpid that runs intercepts something else than this configuration", "limpid reload");
  // Those that the survey has found stand under their own names.
  for (const std::string& sentence : machine.degraded) {
    const auto is_that = [&](const Remark& remark) { return remark.sentence == sentence; };
    const bool is_told = machine.survey && (std::ranges::any_of(machine.survey->degraded, is_that) ||
                                            std::ranges::find(machine.survey->forward_drops, sentence) !=
                                                machine.survey->forward_drops.end());
    if (!is_told) judgements.warning(sentence, "");
  }
}

}  // namespace limpid::checks
