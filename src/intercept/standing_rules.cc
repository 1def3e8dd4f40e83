// SPDX-License-Identifier: MIT
#include "intercept/standing_rules.h"

#include <algorithm>
#include <ranges>

#include "intercept/fib.h"
#include "intercept/rules_text.h"

namespace limpid {
namespace {

template <class Thing>
bool contains(const std::vector<Thing>& things, const Thing& thing) {
  return std::ranges::find(things, thing) != things.end();
}

// What one call does, and can undo.
struct Change {
  Fib fib;
  std::vector<FibRoute> routes{};
  std::vector<FibRule> rules{};

  template <class Thing>
  Result<> add_missing(const std::vector<Thing>& wanted, const std::vector<Thing>& present, std::vector<Thing>& added) {
    for (const Thing& thing : wanted) {
      if (contains(present, thing)) continue;
      if (Result<> done = fib.add(thing); !done) return done;
      added.push_back(thing);
    }
    return {};
  }

  Result<> add(const Plan& plan) {
    for (const int family : {AF_INET, AF_INET6}) {
      const auto of_family = std::views::filter([family](const auto& thing) { return thing.family == family; });
      const auto present_routes = fib.our_routes(family, plan.whose.protocol);
      if (!present_routes) return std::unexpected(present_routes.error());
      const auto present_rules = fib.rules(family);
      if (!present_rules) return std::unexpected(present_rules.error());
      std::vector<FibRoute> wanted_routes;
      std::vector<FibRule> wanted_rules;
      std::ranges::copy(fib_routes(plan) | of_family, std::back_inserter(wanted_routes));
      std::ranges::copy(fib_rules(plan) | of_family, std::back_inserter(wanted_rules));
      if (Result<> done = add_missing(wanted_routes, *present_routes, routes); !done) return done;
      if (Result<> done = add_missing(wanted_rules, *present_rules, rules); !done) return done;
    }
    return {};
  }

  // What the plan before had, and this one has not.
  Result<> remove_others(const Plan& plan) {
    for (const int family : {AF_INET, AF_INET6}) {
      const auto present_rules = fib.rules(family);
      if (!present_rules) return std::unexpected(present_rules.error());
      for (const FibRule& rule : *present_rules)
        if (rule.protocol == plan.whose.protocol && !contains(fib_rules(plan), rule))
          if (Result<> done = fib.remove(rule); !done) return done;
      const auto present_routes = fib.our_routes(family, plan.whose.protocol);
      if (!present_routes) return std::unexpected(present_routes.error());
      for (const FibRoute& route : *present_routes)
        if (!contains(fib_routes(plan), route))
          if (Result<> done = fib.remove(route); !done) return done;
    }
    return {};
  }

  std::string undo() {
    std::string refused;
    const auto remove = [&](const auto& thing) {
      if (const Result<> done = fib.remove(thing); !done) refused += "; undo it: " + done.error().what;
    };
    std::ranges::for_each(std::views::reverse(rules), remove);
    std::ranges::for_each(std::views::reverse(routes), remove);
    return refused;
  }
};

}  // namespace

Result<> install_standing(Nft& nft, const Plan& plan, const Conditions& conditions) {
  const std::string table = plan.whose.table();
  const Result<Holder> holder = holder_of(nft, table);
  if (!holder) return std::unexpected(holder.error());
  if (*holder == Holder::owner ||
      (*holder == Holder::nobody && protocol_in(nft.list("table " + table).value_or("")) == 0))
    return failure(
        *holder == Holder::owner
            ? fmt::format("rules named \"{}\" are held by a \"limpid rules hold\" that runs: end it, or choose "
                          "another name",
                          plan.whose.name)
            : fmt::format("there is a table {} that is not limpid's: choose another name", table));
  Result<Fib> fib = Fib::open();
  if (!fib) return std::unexpected(fib.error());
  Change change{.fib = std::move(*fib)};
  // The name has its number from now on, so that whatever this leaves half done can be found again.
  if (*holder == Holder::none)
    if (const auto named = nft.run(text_of_claim(plan.whose)); !named)
      return failure_in("make the table " + table, named);
  Result<> done = change.add(plan);
  if (done)
    if (const auto filled = nft.run(standing_tables(plan, conditions)); !filled)
      done = failure_in("fill the table " + table, filled);
  if (done) return change.remove_others(plan);
  Error error = done.error();
  error.what += change.undo();
  if (*holder == Holder::none)
    if (const auto gone = nft.run(fmt::format("delete table {}\n", table)); !gone)
      error.what += "; undo it: " + gone.error().what;
  return std::unexpected(error);
}

Removed remove_standing(Nft& nft, const RulesInstance& instance) {
  Removed removed;
  const Instance& whose = instance.whose;
  // First what takes packets and what refuses them, at once; the name keeps its number until all is gone.
  const bool has_table = instance.table != Holder::none;
  std::string text;
  if (instance.has_guard) text += fmt::format("delete table {}\n", whose.guard());
  if (has_table) text += fmt::format("delete table {}\n{}", whose.table(), text_of_claim(whose));
  const auto emptied = text.empty() ? Result<std::string>() : nft.run(text);
  if (!emptied)
    removed.errors.push_back(emptied.error().in("empty the table " + whose.table()));
  else if (instance.has_guard)
    removed.what.push_back("table " + whose.guard());
  remove_fib_of(whose.protocol, removed);
  if (has_table) remove_table(nft, whose.table(), removed);
  return removed;
}

Result<std::vector<std::string>> lines_of(const RulesInstance& instance) {
  std::vector<std::string> lines;
  Result<Fib> fib = Fib::open();
  if (!fib) return std::unexpected(fib.error());
  for (const int family : {AF_INET, AF_INET6}) {
    const auto routes = fib->our_routes(family, instance.whose.protocol);
    if (!routes) return std::unexpected(routes.error());
    for (const FibRoute& route : *routes) lines.push_back("ip " + route.text());
    const auto rules = fib->rules(family);
    if (!rules) return std::unexpected(rules.error());
    for (const FibRule& rule : *rules)
      if (rule.protocol == instance.whose.protocol) lines.push_back("ip " + rule.text());
  }
  if (instance.table != Holder::none) lines.push_back("table " + instance.whose.table());
  if (instance.has_guard) lines.push_back("table " + instance.whose.guard());
  return lines;
}

}  // namespace limpid
