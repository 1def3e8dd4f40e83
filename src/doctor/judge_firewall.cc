// SPDX-License-Identifier: MIT
#include <algorithm>

#include "doctor/judgements.h"
#include "intercept/mark_use.h"

namespace limpid::checks {
namespace {

bool says(const std::string& rule, std::string_view word) {
  const auto words = words_of(rule);
  return std::ranges::find(words, word) != words.end();
}

bool says_any(const std::string& rule, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(words, [&](std::string_view word) { return says(rule, word); });
}

bool is_limpids_business(const std::vector<Steering>& all) {
  return all.empty() || std::ranges::any_of(all, &Steering::is_limpid);
}

// The chains of everybody but limpid.
std::vector<NftChain> of_others(const Machine& machine) {
  std::vector<NftChain> chains = *machine.chains;
  std::erase_if(chains, is_ours);
  return chains;
}

bool is_same_table(const NftChain& one, const NftChain& other) {
  return one.family == other.family && one.table == other.table;
}

// Its first rule of that kind, and where: "nft table inet nat, chain post (\"masquerade\")".
template <class Is>
std::string find_rule(const std::vector<NftChain>& chains, Is is) {
  for (const NftChain& chain : chains)
    for (const std::string& rule : chain.rules)
      if (is(rule)) return fmt::format("{} (\"{}\")", where(chain), rule);
  return {};
}

bool has_zone(const Machine& machine, const TproxyRule& rule) {
  return std::ranges::any_of(*machine.chains, [&](const NftChain& chain) {
    return is_same_table(chain, rule.chain) && std::ranges::any_of(chain.rules, [](const std::string& text) {
             return text.find("ct zone set") != text.npos;
           });
  });
}

bool overlap(const std::vector<PortRange>& one, const std::vector<PortRange>& other) {
  if (one.empty() || other.empty()) return true;
  return std::ranges::any_of(one, [&](const PortRange& mine) {
    return std::ranges::any_of(
        other, [&](const PortRange& theirs) { return mine.first <= theirs.last && theirs.first <= mine.last; });
  });
}

// Base chains of prerouting that let nothing by default, but for those of `own`.
void judge_drops(const std::vector<NftChain>& chains, const NftChain* own, const std::string& who,
                 Judgements& judgements) {
  for (const NftChain& chain : chains) {
    const bool is_there = chain.hook.starts_with("type filter ") && says(chain.hook, "prerouting");
    if (!is_there || !drops_by_default(chain) || (own != nullptr && chain == *own)) continue;
    const bool has_exceptions = std::ranges::any_of(chain.rules, [](const std::string& rule) {
      return says_any(rule, {"accept", "return", "jump", "goto", "vmap"});
    });
    judgements.add(
        has_exceptions ? Severity::warning : Severity::broken,
        fmt::format("{} drops {} what {} would take", where(chain),
                    has_exceptions ? "all but what its rules accept, perhaps also" : "everything, also", who),
        fmt::format("nft list chain {} {} {}", chain.family, chain.table, chain.name));
  }
}

void judge_redirects(const std::vector<NftChain>& chains, const std::vector<PortRange>& taken, const std::string& who,
                     Judgements& judgements) {
  for (const NftChain& chain : chains) {
    if (!chain.hook.starts_with("type nat ") || !says(chain.hook, "prerouting")) continue;
    for (const std::string& rule : chain.rules) {
      if (!says_any(rule, {"dnat", "redirect"}) || says(rule, "daddr") || !overlap(ports_after_dport(rule), taken))
        continue;
      judgements.warning(fmt::format("{} gives what {} takes another destination (\"{}\")", where(chain), who, rule),
                         fmt::format("nft list chain {} {} {}", chain.family, chain.table, chain.name));
    }
  }
}

}  // namespace

void mark_conflict(const Machine& machine, Judgements& judgements) {
  if (is_limpids_business(steerings(machine))) repeat(machine, "mark-conflict", judgements);
  for (const TproxyRule& rule : by_hand(machine, judgements))
    for (const NftChain& chain : of_others(machine)) {
      if (is_same_table(chain, rule.chain)) continue;
      for (const std::string& other : chain.rules)
        for (const MarkUse& use : mark_uses(other))
          if ((use.bits & rule.mark) != 0 && !says(other, "accept"))
            judgements.warning(fmt::format("{} uses bits of the mark 0x{:x} too (\"{}\"), which {} gives", where(chain),
                                           rule.mark, other, where(rule.chain)),
                               "");
    }
}

void fib_conflict(const Machine& machine, Judgements& judgements) {
  if (is_limpids_business(steerings(machine))) repeat(machine, "fib-conflict", judgements);
  if (machine.has_foreign_table)
    judgements.add(if_wanted(steerings(machine)), "there is a table inet limpid that is not limpid's",
                   "nft list table inet limpid\nnft delete table inet limpid    # if nobody needs it");
}

void legacy_iptables(const Machine& machine, Judgements& judgements) {
  if (!machine.survey) return judgements.not_looked_at(machine.survey.error());
  for (const Remark& remark : machine.survey->degraded)
    if (remark.about == "legacy-iptables")
      judgements.add(Severity::not_looked_at, remark.sentence, "iptables-legacy-save; ip6tables-legacy-save");
}

void input_drop(const Machine& machine, Judgements& judgements) {
  if (is_limpids_business(steerings(machine))) repeat(machine, "input-drop", judgements);
  for (const TproxyRule& rule : by_hand(machine, judgements)) {
    if (rule.mark == 0) continue;
    Intercept settings;
    settings.mark = {rule.mark, rule.mark};
    for (const std::string& sentence : input_drops(of_others(machine), settings)) judgements.warning(sentence, "");
  }
}

void forward_drop(const Machine& machine, Judgements& judgements) {
  if (!machine.survey) return judgements.not_looked_at(machine.survey.error());
  for (const std::string& sentence : machine.survey->forward_drops) judgements.warning(sentence, "");
}

void decided_first(const Machine& machine, Judgements& judgements) {
  const std::vector<TproxyRule> rules = by_hand(machine, judgements);
  if (!machine.chains) return;
  for (const TproxyRule& rule : rules) {
    if (const auto earlier = decided_before(rule))
      judgements.broken(
          fmt::format("in {} the rule \"{}\" comes before \"{}\" and decides about all that it would take",
                      where(rule.chain), *earlier, rule.text()),
          fmt::format("nft -a list chain {} {} {}", rule.chain.family, rule.chain.table, rule.chain.name));
    judge_drops(of_others(machine), &rule.chain, where(rule.chain), judgements);
    judge_redirects(of_others(machine), rule.taken, where(rule.chain), judgements);
  }
  if (!machine.config || !machine.config->intercept.is_wanted()) return;
  std::vector<PortRange> taken = machine.config->intercept.tcp;
  taken.insert(taken.end(), machine.config->intercept.udp.begin(), machine.config->intercept.udp.end());
  judge_drops(of_others(machine), nullptr, "limpid", judgements);
  judge_redirects(of_others(machine), taken, "limpid", judgements);
}

void conntrack_invalid(const Machine& machine, Judgements& judgements) {
  for (const TproxyRule& rule : by_hand(machine, judgements)) {
    const std::string found = find_rule(of_others(machine), [](const std::string& text) {
      return text.find("ct state") != std::string::npos && says(text, "invalid") && says(text, "drop");
    });
    if (!found.empty() && !has_zone(machine, rule))
      judgements.warning(fmt::format("{} drops what conntrack calls invalid, and {} gives the clients' side no zone",
                                     found, where(rule.chain)),
                         "ct zone set 5300    # in a chain at priority raw, for the clients' side alone");
  }
}

void masquerade(const Machine& machine, Judgements& judgements) {
  for (const TproxyRule& rule : by_hand(machine, judgements)) {
    const std::string found =
        find_rule(of_others(machine), [](const std::string& text) { return says_any(text, {"masquerade", "snat"}); });
    if (!found.empty() && !has_zone(machine, rule))
      judgements.warning(fmt::format("{} is not applied to connections that a proxy behind {} makes from its clients' "
                                     "addresses and ports",
                                     found, where(rule.chain)),
                         "ct zone set 5300    # in a chain at priority raw, for the clients' side alone");
  }
}

void flowtable(const Machine& machine, Judgements& judgements) {
  if (!machine.chains) return judgements.not_looked_at(machine.chains.error());
  const std::string found = find_rule(of_others(machine), [](const std::string& text) {
    return says(text, "flow") && says_any(text, {"add", "offload"});
  });
  if (found.empty()) return;
  for (const Steering& one : steerings(machine))
    if (!one.is_limpid)
      judgements.warning(
          fmt::format("{} puts flows into a flowtable: those that it has are not taken by {}", found, one.who), "");
    else if (!machine.config->intercept.udp.empty())
      judgements.warning(
          fmt::format("{} puts flows into a flowtable: the account of UDP flows that the kernel forwards "
                      "stops there",
                      found),
          "limpid run --handover off");
}

}  // namespace limpid::checks
