// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cerrno>

#include "doctor/judgements.h"

namespace limpid::checks {
namespace {

// The kernel's refusals of a source (fib_validate_source()).
bool is_not_believed(const Result<Fib::Way>& way) {
  return !way && (way.error().code == EXDEV || way.error().code == EINVAL);
}

struct Marked {
  const Steering& by;
  const Arrival& arrival;
  const Result<Fib::Way>& way;
};

// What became of the question about what is marked, for each that was asked.
template <class Judge>
void for_each_marked(const Machine& machine, Judge judge) {
  const std::vector<Steering> all = steerings(machine);
  for (const Steering& one : all)
    for (const Arrival& arrival : machine.arrivals) {
      if (!one.concerns(arrival) || !one.is_in_effect || one.mark.mask == 0) continue;
      if (const Result<Fib::Way>* const way = answer_to(machine, marked(arrival, one.mark)))
        judge(Marked{one, arrival, *way});
    }
}

// The first fib rule that sends such packets to a table of its own.
const FibRule* rule_for(const Machine& machine, const Marked& marked) {
  const auto found = std::ranges::find_if(machine.fib_rules, [&](const FibRule& rule) {
    return rule.family == marked.arrival.client.family() && rule.action == FibRule::Action::lookup &&
           rule.mark.mask != 0 && (marked.by.mark.bits & rule.mark.mask) == rule.mark.bits &&
           (rule.interface.empty() || rule.interface == marked.arrival.interface);
  });
  return found == machine.fib_rules.end() ? nullptr : &*found;
}

// Another that comes before and leads to where they went.
const FibRule* rule_before(const Machine& machine, const Marked& marked, const FibRule& rule) {
  if (!marked.way) return nullptr;
  const auto found = std::ranges::find_if(machine.fib_rules, [&](const FibRule& other) {
    return other.family == rule.family && other.priority < rule.priority && other.action == FibRule::Action::lookup &&
           other.target == marked.way->table && other.target != rule.target;
  });
  return found == machine.fib_rules.end() ? nullptr : &*found;
}

bool is_lost(const Marked& marked) { return !is_not_believed(marked.way) && (!marked.way || !marked.way->is_here); }

std::string what_is_marked(const Marked& marked) {
  return fmt::format("{} packets that come in at {} with the mark 0x{:x} of {}",
                     family_name(marked.arrival.client.family()), marked.arrival.interface, marked.by.mark.bits,
                     marked.by.who);
}

char digit(const Marked& marked) { return marked.arrival.client.family() == AF_INET ? '4' : '6'; }

}  // namespace

void rp_filter(const Machine& machine, Judgements& judgements) {
  const std::vector<Steering> all = steerings(machine);
  for (const Arrival& arrival : concerned(machine, all)) {
    const Result<Fib::Way>* const way = answer_to(machine, as_it_comes(arrival));
    if (way == nullptr || !is_not_believed(*way)) continue;
    judgements.add(
        if_wanted(all),
        fmt::format("packets from {} that come in at {} are dropped: the kernel would reach that address by "
                    "another interface (rp_filter is {})",
                    arrival.client.text(), arrival.interface, machine.setting_of(arrival.interface, "rp_filter")),
        fmt::format("ip route get {}\nsysctl -w net.ipv4.conf.{}.rp_filter=2", arrival.client.text(),
                    arrival.interface));
  }
}

void src_valid_mark(const Machine& machine, Judgements& judgements) {
  if (!machine.chains) judgements.not_looked_at(machine.chains.error());
  for_each_marked(machine, [&](const Marked& marked) {
    const Result<Fib::Way>* const plain = answer_to(machine, as_it_comes(marked.arrival));
    if (!is_not_believed(marked.way) || plain == nullptr || is_not_believed(*plain)) return;
    judgements.broken(
        fmt::format("{} are dropped: their source is looked up with the mark (src_valid_mark is {})",
                    what_is_marked(marked), machine.setting_of(marked.arrival.interface, "src_valid_mark")),
        fmt::format("ip rule add iif lo fwmark 0x{0:x} lookup main priority N    # N: before that of fwmark "
                    "0x{0:x}",
                    marked.by.mark.bits));
  });
}

void return_path(const Machine& machine, Judgements& judgements) {
  const std::vector<Steering> all = steerings(machine);
  for (const Arrival& arrival : concerned(machine, all)) {
    std::vector<std::uint32_t> marks;
    for (const Steering& one : all)
      if (one.concerns(arrival)) marks.push_back(one.is_in_effect ? one.answers_mark : 0);
    if (all.empty()) marks.push_back(0);
    for (const std::uint32_t mark : marks) {
      const Result<Fib::Way>* const way = answer_to(machine, back_to(arrival, mark));
      if (way == nullptr) continue;
      const std::string mend = fmt::format("{}\nip rule", back_to(arrival, mark).text());
      if (!*way)
        judgements.warning(fmt::format("there is no way back to {}, who comes in at {}: {}", arrival.client.text(),
                                       arrival.interface, way->error().what),
                           mend);
      else if (!(*way)->is_here && (*way)->interface != arrival.interface)
        judgements.warning(fmt::format("answers to {}, who comes in at {}, leave by {}", arrival.client.text(),
                                       arrival.interface, (*way)->interface),
                           mend);
    }
  }
}

void fib_rule(const Machine& machine, Judgements& judgements) {
  for (const TproxyRule& rule : by_hand(machine, judgements))
    if (rule.mark == 0)
      judgements.warning(fmt::format("{} gives its packets no mark in the rule \"{}\": no fib rule can tell them from "
                                     "others, unless a later rule does",
                                     where(rule.chain), rule.text()),
                         "meta mark set 0x1    # behind \"tproxy ...\"");
  for_each_marked(machine, [&](const Marked& marked) {
    if (!is_lost(marked) || rule_for(machine, marked) != nullptr) return;
    judgements.broken(fmt::format("{} meet no fib rule that looks at it", what_is_marked(marked)),
                      marked.by.is_limpid ? "limpid withdraw; limpid run ..."
                                          : fmt::format("ip -{} rule add fwmark 0x{:x} lookup 100", digit(marked),
                                                        marked.by.mark.bits));
  });
}

void fib_route(const Machine& machine, Judgements& judgements) {
  if (!machine.chains) judgements.not_looked_at(machine.chains.error());
  for_each_marked(machine, [&](const Marked& marked) {
    const FibRule* const rule = is_lost(marked) ? rule_for(machine, marked) : nullptr;
    if (rule == nullptr || rule_before(machine, marked, *rule) != nullptr) return;
    judgements.broken(fmt::format("{} find no local route in table {} (\"ip {}\")", what_is_marked(marked),
                                  rule->target, rule->text()),
                      fmt::format("ip -{} route add local default dev lo table {}", digit(marked), rule->target));
  });
}

void fib_shadowed(const Machine& machine, Judgements& judgements) {
  if (!machine.chains) judgements.not_looked_at(machine.chains.error());
  for_each_marked(machine, [&](const Marked& marked) {
    const FibRule* const rule = is_lost(marked) ? rule_for(machine, marked) : nullptr;
    const FibRule* const before = rule == nullptr ? nullptr : rule_before(machine, marked, *rule);
    if (before == nullptr) return;
    judgements.broken(fmt::format("{} go by table {} and leave by {}: the fib rule {} (\"ip {}\") comes before {}",
                                  what_is_marked(marked), marked.way->table, marked.way->interface, before->priority,
                                  before->text(), rule->priority),
                      marked.by.is_limpid
                          ? fmt::format("limpid run --priority N    # N: less than {}", before->priority - 1)
                          : fmt::format("ip -{} rule add fwmark 0x{:x} lookup {} priority N    # N: less than {}",
                                        digit(marked), marked.by.mark.bits, rule->target, before->priority));
  });
}

}  // namespace limpid::checks
