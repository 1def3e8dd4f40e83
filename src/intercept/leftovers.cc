// SPDX-License-Identifier: MIT
#include "intercept/leftovers.h"

#include <algorithm>
#include <thread>

namespace limpid {
namespace {

constexpr std::chrono::milliseconds claim_interval(20);

void note(Removed& removed, const Result<>& result, std::string what) {
  if (result)
    removed.what.push_back(std::move(what));
  else
    removed.errors.push_back(result.error());
}

void remove_fib_rules(Fib& fib, int family, std::uint8_t protocol, Removed& removed) {
  auto rules = fib.rules(family);
  if (!rules) {
    removed.errors.push_back(rules.error());
    return;
  }
  // The lowest priority is the "goto" past the others: it goes last, else the mark of our sockets would match what is
  // left.
  std::ranges::sort(*rules, std::ranges::greater(), &FibRule::priority);
  for (const FibRule& rule : *rules)
    if (rule.protocol == protocol) note(removed, fib.remove(rule), "ip " + rule.text());
}

void remove_fib_routes(Fib& fib, int family, std::uint8_t protocol, Removed& removed) {
  const auto routes = fib.our_routes(family, protocol);
  if (!routes) {
    removed.errors.push_back(routes.error());
    return;
  }
  for (const FibRoute& route : *routes) note(removed, fib.remove(route), "ip " + route.text());
}

// A table that is to be ours alone: the command that makes it, and what it means if it is there already.
struct Claim {
  std::string table;
  std::string command;
  std::string with_owner, without_owner;
};

Claim claim_of(const Instance& whose) {
  Claim wanted{whose.table(), text_of_claim(whose), "", ""};
  if (whose.is_foreign()) {
    wanted.with_owner = fmt::format(
        "rules named \"{}\" are held by a \"limpid rules hold\" that runs: end it, or choose another name", whose.name);
    wanted.without_owner =
        fmt::format("rules named \"{0}\" are installed: \"limpid rules remove {0}\" removes them", whose.name);
  } else {
    wanted.with_owner =
        "another limpid runs in this network namespace: it owns the nftables table inet limpid; \"limpid withdraw\" "
        "ends it";
    wanted.without_owner =  // ours always has an owner, so this is not what a dead one left
        "there is a table inet limpid that is not limpid's: see \"nft list table inet limpid\", and remove it with "
        "\"nft delete table inet limpid\" if nobody needs it";
  }
  return wanted;
}

// One attempt. `false`: somebody else is the owner.
Result<bool> try_to_claim(Nft& nft, const Claim& wanted) {
  const auto holder = holder_of(nft, wanted.table);
  if (!holder) return std::unexpected(holder.error());
  if (*holder == Holder::owner) return false;
  if (*holder == Holder::nobody) return failure(wanted.without_owner);
  const auto created = nft.run(wanted.command);  // refuses if another was faster
  if (created) return true;
  const auto now = holder_of(nft, wanted.table);
  if (now && *now == Holder::owner) return false;
  return std::unexpected(created.error());
}

Result<> claim(Nft& nft, const Claim& wanted, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const Result<bool> claimed = try_to_claim(nft, wanted);
    if (!claimed) return failure_in("take the table " + wanted.table, claimed);
    if (*claimed) return {};
    if (std::chrono::steady_clock::now() >= deadline) return failure(wanted.with_owner);
    std::this_thread::sleep_for(claim_interval);
  }
}

}  // namespace

std::string text_of_claim(const Instance& whose) {
  return fmt::format("create table {} {{\n{}}}\n", whose.table(), whose.head());
}

Result<> claim(Nft& nft, std::chrono::milliseconds patience, const Instance& whose) {
  return claim(nft, claim_of(whose), patience);
}

Result<Nft> lock_rules(std::chrono::milliseconds patience) {
  Result<Nft> nft = Nft::open();
  if (!nft) return nft;
  const std::string table = "inet limpid_rules";
  const Result<> claimed = claim(*nft,
                                 {.table = table,
                                  .command = fmt::format("create table {} {{ flags owner; }}\n", table),
                                  .with_owner = "another \"limpid rules\" is changing something: try again",
                                  .without_owner = fmt::format("the table {} is not limpid's: remove it with \"nft "
                                                               "delete table {}\" if nobody needs it",
                                                               table, table)},
                                 patience);
  if (!claimed) return std::unexpected(claimed.error());
  return nft;
}

void destroy_sockets(Mark own_mark, Removed& removed) {
  if (own_mark.mask == 0) return;
  if (const auto destroyed = destroy_tcp_sockets(own_mark); destroyed)
    removed.sockets = *destroyed;
  else
    removed.errors.push_back(destroyed.error());
}

void remove_fib_of(std::uint8_t protocol, Removed& removed) {
  Result<Fib> fib = Fib::open();
  if (!fib) {
    removed.errors.push_back(fib.error());
    return;
  }
  for (const int family : {AF_INET, AF_INET6}) {
    remove_fib_rules(*fib, family, protocol, removed);
    remove_fib_routes(*fib, family, protocol, removed);
  }
}

void remove_table(Nft& nft, const std::string& table, Removed& removed) {
  const auto holder = holder_of(nft, table);
  if (!holder) {
    removed.errors.push_back(holder.error());
    return;
  }
  if (*holder == Holder::none) return;
  const auto result = nft.run(fmt::format("delete table {}\n", table));
  note(removed, result ? Result<>() : std::unexpected(result.error().in("remove the table " + table)),
       "table " + table);
}

Removed remove_leftovers(Nft& nft, Mark own_mark, GuardFate guard, const Instance& whose) {
  Removed removed;
  destroy_sockets(own_mark, removed);
  remove_fib_of(whose.protocol, removed);
  if (guard == GuardFate::remove) remove_table(nft, whose.guard(), removed);
  return removed;
}

Result<Removed> clean_up(Mark own_mark, GuardFate guard, std::chrono::milliseconds patience, const Instance& whose) {
  Result<Nft> nft = Nft::open();
  if (!nft) return std::unexpected(nft.error());
  if (const Result<> claimed = claim(*nft, patience, whose); !claimed) return std::unexpected(claimed.error());
  return remove_leftovers(*nft, own_mark, guard, whose);  // nft's end takes the table along
}

}  // namespace limpid
