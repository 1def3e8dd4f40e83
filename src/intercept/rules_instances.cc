// SPDX-License-Identifier: MIT
#include "intercept/rules_instances.h"

#include <algorithm>
#include <charconv>

#include "intercept/fib.h"
#include "intercept/survey.h"

namespace limpid {
namespace {

constexpr std::uint32_t first_table = 5301, first_priority = 110;  // 5300 and 100 are those of `limpid run`
constexpr std::uint32_t priorities_each = 4;                       // of which three are used
constexpr std::uint32_t marks_mask = 0x0f000000;                   // 0: not taken
constexpr int marks_shift = 24;

std::uint8_t protocol_of(int place) { return static_cast<std::uint8_t>(first_rules_protocol + place); }

Mark mark_of(std::uint32_t value) { return {value << marks_shift, marks_mask}; }

Result<> look_into(Nft& nft, const std::string& table, bool is_guard, std::string_view name,
                   std::vector<RulesInstance>& instances) {
  const Result<std::string> listing = nft.list("table " + table);
  if (!listing) return {};  // it went meanwhile
  auto same = std::ranges::find_if(instances, [&](const RulesInstance& one) { return one.whose.name == name; });
  if (same == instances.end())
    same = instances.insert(instances.end(), {.whose = {.name = std::string(name), .protocol = 0}});
  if (const std::uint8_t protocol = protocol_in(*listing)) same->whose.protocol = protocol;
  if (is_guard) {
    same->has_guard = true;
    return {};
  }
  const Result<Holder> holder = holder_of(nft, table);
  if (!holder) return std::unexpected(holder.error());
  same->table = *holder;
  same->whose.stays = *holder == Holder::nobody;
  return {};
}

bool is_taken(const std::vector<RulesInstance>& instances, std::uint8_t protocol, const std::string& name) {
  return std::ranges::any_of(
      instances, [&](const RulesInstance& one) { return one.whose.protocol == protocol && one.whose.name != name; });
}

}  // namespace

std::uint8_t protocol_in(std::string_view listing) {
  const std::size_t at = listing.find(rules_comment);
  if (at == std::string_view::npos) return 0;
  const std::string_view rest = listing.substr(at + rules_comment.size());
  unsigned number = 0;
  std::from_chars(rest.data(), rest.data() + rest.size(), number);
  const bool is_ours = number >= first_rules_protocol && number < first_rules_protocol + most_rules;
  return is_ours ? static_cast<std::uint8_t>(number) : std::uint8_t{0};
}

Result<std::vector<RulesInstance>> rules_instances(Nft& nft) {
  const Result<std::string> tables = nft.list("tables");
  if (!tables) return failure_in("list nftables tables", tables);
  std::vector<RulesInstance> instances;
  std::string_view rest = *tables;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    for (const std::string_view kind : {rules_table, rules_guard}) {
      const std::string before = fmt::format("table inet {}", kind);
      if (!line.starts_with(before) || line.size() == before.size()) continue;
      const Result<> looked = look_into(nft, std::string(line.substr(std::string_view("table ").size())),
                                        kind == rules_guard, line.substr(before.size()), instances);
      if (!looked) return std::unexpected(looked.error());
    }
  }
  std::ranges::sort(instances, {}, [](const RulesInstance& one) { return one.whose.name; });
  return instances;
}

Result<Plan> with_numbers_of(int place, Plan plan, const GivenNumbers& given) {
  const auto number = static_cast<std::uint32_t>(place);
  Intercept& settings = plan.settings;
  plan.whose.protocol = protocol_of(place);
  settings.own_mark = {};  // nobody has it
  settings.mark = given.mark.value_or(mark_of(2 * number + 1));
  settings.local_mark = given.local_mark.value_or(mark_of(2 * number + 2));
  settings.table = given.table.value_or(first_table + number);
  settings.priority = given.priority.value_or(first_priority + priorities_each * number);
  const bool is_chosen = !given.mark && !given.local_mark;
  if (!is_chosen && (settings.mark.mask & settings.local_mark.mask) != 0)
    return failure(fmt::format("the marks {} and {} overlap: give both, --mark and --local-mark, bits of their own",
                               settings.mark.text(), settings.local_mark.text()));
  return plan;
}

Result<Plan> with_free_numbers(Nft& nft, const Plan& plan, const GivenNumbers& given) {
  const Result<std::vector<RulesInstance>> instances = rules_instances(nft);
  if (!instances) return std::unexpected(instances.error());
  const auto same = std::ranges::find(*instances, plan.whose.name, [](const auto& one) { return one.whose.name; });
  const bool has_place = same != instances->end() && same->whose.protocol != 0;
  Result<Surveyor> surveyor = Surveyor::open();
  if (!surveyor) return std::unexpected(surveyor.error());
  std::optional<Error> why_not;
  for (int place = 0; place < most_rules; ++place) {
    if (has_place && protocol_of(place) != same->whose.protocol) continue;
    if (is_taken(*instances, protocol_of(place), plan.whose.name)) continue;
    Result<Plan> candidate = with_numbers_of(place, plan, given);
    if (!candidate) return candidate;
    const Result<Survey> survey = surveyor->look(*candidate, {});
    if (!survey) return std::unexpected(survey.error());
    if (survey->conflicts.empty()) return candidate;
    if (!why_not) why_not = Error{survey->conflicts.front().sentence};
  }
  if (why_not) return std::unexpected(*why_not);
  return failure(
      fmt::format("there are {} set-ups of \"limpid rules\" already, which is all there can be: \"limpid rules "
                  "list\" tells which",
                  most_rules));
}

Result<std::vector<std::uint8_t>> orphaned_protocols(const std::vector<RulesInstance>& instances) {
  Result<Fib> fib = Fib::open();
  if (!fib) return std::unexpected(fib.error());
  std::vector<std::uint8_t> orphans;
  for (int place = 0; place < most_rules; ++place) {
    if (is_taken(instances, protocol_of(place), "")) continue;
    bool is_there = false;
    for (const int family : {AF_INET, AF_INET6}) {
      const auto rules = fib->rules(family);
      if (!rules) return std::unexpected(rules.error());
      const auto routes = fib->our_routes(family, protocol_of(place));
      if (!routes) return std::unexpected(routes.error());
      is_there |= !routes->empty() || std::ranges::find(*rules, protocol_of(place), &FibRule::protocol) != rules->end();
    }
    if (is_there) orphans.push_back(protocol_of(place));
  }
  return orphans;
}

}  // namespace limpid
