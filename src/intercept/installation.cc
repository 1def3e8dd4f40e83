// SPDX-License-Identifier: MIT
#include "intercept/installation.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <ranges>
#include <utility>

#include "base/check.h"
#include "intercept/guard.h"
#include "intercept/ruleset.h"

namespace limpid {
namespace {

// Takes a table away whether or not it is there.
std::string emptied(const std::string& table) { return fmt::format("add table {0}\ndelete table {0}\n", table); }

// Creates the guard, or makes one that stands the way the plan wants it, without a moment in between.
std::string renewed_guard(const Plan& plan) { return emptied(plan.whose.guard()) + guard(plan); }

Result<> without_output(const Result<std::string>& result, std::string_view context) {
  if (!result) return failure_in(context, result);
  return {};
}

Error joined(const std::vector<Error>& errors) {
  std::vector<std::string> texts;
  for (const Error& error : errors) texts.push_back(error.what);
  return {fmt::format("{}", fmt::join(texts, "; ")), errors.front().code};
}

}  // namespace

// What was done. The netlink socket in `nft` is the life of the table.
struct Installation::State {
  Plan plan;
  Conditions conditions;
  Nft nft;
  Fib fib;
  Destroyed destroyed{};
  bool has_table = false;  // claimed at least
  std::vector<FibRoute> routes{};
  std::vector<FibRule> rules{};
  bool has_guard = false;
  bool guard_is_adopted = false;
  std::string guard_listing{};  // as nft told it back: what restore() compares with

  Result<> do_all(std::chrono::milliseconds patience);
  Result<> add_fib();
  Result<> put_guard();
  Result<> read_guard_back();
  Result<bool> guard_is_intact();
  template <class Thing>
  void restore_fib(const std::vector<Thing>& wanted, const Result<std::vector<Thing>>& present,
                   std::vector<std::string>& restored, std::vector<Error>& errors);
  void remove_table(Removed& removed);
  void remove_fib(Removed& removed);
  void remove_guard(Removed& removed);
};

Result<> Installation::State::do_all(std::chrono::milliseconds patience) {
  if (Result<> claimed = claim(nft, patience, plan.whose); !claimed) return claimed;
  has_table = true;

  const auto holder = holder_of(nft, plan.whose.guard());
  if (!holder) return std::unexpected(holder.error());
  guard_is_adopted = *holder != Holder::none;
  const Removed leftovers = remove_leftovers(nft, plan.settings.own_mark, GuardFate::keep, plan.whose);
  destroyed = leftovers.sockets;
  if (!leftovers.errors.empty()) return std::unexpected(joined(leftovers.errors).in("remove what a dead limpid left"));

  if (Result<> added = add_fib(); !added) return added;
  const bool is_closed = plan.settings.without_us == WithoutUs::closed;
  if (is_closed)
    if (Result<> put = put_guard(); !put) return put;
  if (Result<> filled = without_output(nft.run(ruleset(plan, conditions)), "fill the table " + plan.whose.table());
      !filled)
    return filled;
  if (is_closed || !guard_is_adopted) return {};
  // The configuration was closed and is open now. Not before everything else has worked.
  return without_output(nft.run(fmt::format("delete table {}\n", plan.whose.guard())), "remove the guard");
}

Result<> Installation::State::add_fib() {
  for (const FibRoute& route : fib_routes(plan)) {
    if (Result<> added = fib.add(route); !added) return added;
    routes.push_back(route);
  }
  for (const FibRule& rule : fib_rules(plan)) {
    if (Result<> added = fib.add(rule); !added) return added;
    rules.push_back(rule);
  }
  return {};
}

Result<> Installation::State::put_guard() {
  if (Result<> put = without_output(nft.run(renewed_guard(plan)), "put the guard"); !put) return put;
  has_guard = true;
  return read_guard_back();
}

Result<> Installation::State::read_guard_back() {
  const auto listing = nft.list("table " + plan.whose.guard());
  if (!listing) return failure_in("read the guard back", listing);
  guard_listing = *listing;
  return {};
}

Result<bool> Installation::State::guard_is_intact() {
  const auto holder = holder_of(nft, plan.whose.guard());
  if (!holder) return std::unexpected(holder.error());
  if (*holder == Holder::none) return false;
  const auto listing = nft.list("table " + plan.whose.guard());
  return listing && *listing == guard_listing;
}

template <class Thing>
void Installation::State::restore_fib(const std::vector<Thing>& wanted, const Result<std::vector<Thing>>& present,
                                      std::vector<std::string>& restored, std::vector<Error>& errors) {
  if (!present) {
    errors.push_back(present.error());
    return;
  }
  for (const Thing& thing : wanted) {
    if (std::ranges::find(*present, thing) != present->end()) continue;
    if (const Result<> added = fib.add(thing); added)
      restored.push_back("ip " + thing.text());
    else
      errors.push_back(added.error());
  }
}

// Leaves the claimed table, empty: nobody else starts while we are taking back.
void Installation::State::remove_table(Removed& removed) {
  const std::string table = plan.whose.table();
  const auto done = nft.run(fmt::format("delete table {0}\n{1}", table, text_of_claim(plan.whose)));
  if (done)
    removed.what.push_back("table " + table);
  else
    removed.errors.push_back(done.error().in("empty the table " + table));
}

void Installation::State::remove_fib(Removed& removed) {
  const auto remove = [&](const auto& thing) {
    if (const Result<> result = fib.remove(thing); result)
      removed.what.push_back("ip " + thing.text());
    else
      removed.errors.push_back(result.error());
  };
  std::ranges::for_each(std::views::reverse(std::exchange(rules, {})), remove);
  std::ranges::for_each(std::views::reverse(std::exchange(routes, {})), remove);
}

void Installation::State::remove_guard(Removed& removed) {
  const auto result = nft.run(emptied(plan.whose.guard()));  // gone already is fine
  if (result)
    removed.what.push_back("table " + plan.whose.guard());
  else
    removed.errors.push_back(result.error().in("remove the guard"));
  has_guard = false;
}

Installation::Installation(std::unique_ptr<State> state) : state_(std::move(state)) {}

Installation::Installation(Installation&&) noexcept = default;

Installation::~Installation() {
  if (state_ != nullptr) withdraw(GuardFate::keep);
}

Result<Installation> Installation::install(const Plan& plan, const Conditions& conditions,
                                           std::chrono::milliseconds patience) {
  Result<Nft> nft = Nft::open();
  if (!nft) return std::unexpected(nft.error());
  Result<Fib> fib = Fib::open();
  if (!fib) return std::unexpected(fib.error());
  Installation installation(std::make_unique<State>(
      State{.plan = plan, .conditions = conditions, .nft = std::move(*nft), .fib = std::move(*fib)}));
  const Result<> done = installation.state_->do_all(patience);
  if (done) return installation;

  std::vector<Error> errors = {done.error()};
  const GuardFate guard_fate = installation.state_->guard_is_adopted ? GuardFate::keep : GuardFate::remove;
  for (const Error& error : installation.withdraw(guard_fate).errors) errors.push_back(error.in("undo it"));
  return std::unexpected(joined(errors));
}

Result<> Installation::change(const Plan& plan, const Conditions& conditions) {
  const bool same_plan = plan == state_->plan;
  if (same_plan && conditions == state_->conditions) return {};
  CHECK(state_->has_table && fib_routes(plan) == fib_routes(state_->plan));
  // What is added stays until the end, for sessions may go on by it.
  for (const FibRule& rule : fib_rules(plan)) {
    if (std::ranges::find(state_->rules, rule) != state_->rules.end()) continue;
    if (Result<> added = state_->fib.add(rule); !added) return added;
    state_->rules.push_back(rule);
  }
  std::string text = transition({state_->plan, state_->conditions}, {plan, conditions});
  const bool is_closed = plan.settings.without_us == WithoutUs::closed;
  if (!same_plan && is_closed) text += renewed_guard(plan);
  if (!same_plan && !is_closed && state_->has_guard) text += fmt::format("delete table {}\n", plan.whose.guard());
  if (!text.empty())
    if (Result<> done = without_output(state_->nft.run(text), "change the table " + plan.whose.table()); !done)
      return done;
  state_->plan = plan;
  state_->conditions = conditions;
  if (same_plan) return {};
  state_->has_guard = is_closed;
  // Unread, restore() finds a difference and puts it once more.
  if (is_closed && !state_->read_guard_back()) state_->guard_listing.clear();
  return {};
}

Result<> Installation::change_direct(DirectChange change, std::span<const Flow> flows) {
  return without_output(state_->nft.run(direct_change(change, flows)), "change the flows that go direct");
}

Result<std::vector<std::string>> Installation::restore() {
  std::vector<std::string> restored;
  std::vector<Error> errors;
  if (state_->has_guard) {
    const Result<bool> intact = state_->guard_is_intact();
    if (!intact) errors.push_back(intact.error());
    if (intact && !*intact) {
      if (const Result<> put = state_->put_guard(); put)
        restored.push_back("table " + state_->plan.whose.guard());
      else
        errors.push_back(put.error());
    }
  }
  for (const int family : families(state_->plan)) {
    const auto of_family = [family](const auto& thing) { return thing.family == family; };
    std::vector<FibRoute> routes;
    std::vector<FibRule> rules;
    std::ranges::copy_if(state_->routes, std::back_inserter(routes), of_family);
    std::ranges::copy_if(state_->rules, std::back_inserter(rules), of_family);
    state_->restore_fib(routes, state_->fib.routes(family, state_->plan.settings.table), restored, errors);
    state_->restore_fib(rules, state_->fib.rules(family), restored, errors);
  }
  if (!errors.empty()) return std::unexpected(joined(errors).in("restore the interception"));
  return restored;
}

Removed Installation::withdraw(GuardFate guard_fate) {
  Removed removed;
  if (!state_->has_table) return removed;
  state_->remove_table(removed);
  // Behind the table, so that no packet makes new ones; before the fib rules, so that the last resets find their way.
  destroy_sockets(state_->plan.settings.own_mark, removed);
  state_->remove_fib(removed);
  if (state_->has_guard && guard_fate == GuardFate::remove) state_->remove_guard(removed);
  const std::string table = state_->plan.whose.table();
  const auto let_go = state_->nft.run(fmt::format("delete table {}\n", table));
  if (!let_go) removed.errors.push_back(let_go.error().in("let go of the table " + table));
  state_->has_table = false;
  return removed;
}

const Plan& Installation::plan() const { return state_->plan; }
const Conditions& Installation::conditions() const { return state_->conditions; }
bool Installation::has_adopted_guard() const { return state_->guard_is_adopted; }

const Destroyed& Installation::destroyed() const { return state_->destroyed; }

std::vector<std::string> Installation::lines() const {
  std::vector<std::string> result;
  for (const FibRoute& route : state_->routes) result.push_back("ip " + route.text());
  for (const FibRule& rule : state_->rules) result.push_back("ip " + rule.text());
  if (state_->has_guard) result.push_back("table " + state_->plan.whose.guard());
  if (state_->has_table) result.push_back(fmt::format("table {} {{ flags owner; }}", state_->plan.whose.table()));
  return result;
}

}  // namespace limpid
