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

void remove_fib_rules(Fib& fib, int family, Removed& removed) {
  auto rules = fib.rules(family);
  if (!rules) {
    removed.errors.push_back(rules.error());
    return;
  }
  // The lowest priority is the "goto" past the others: it goes last, else the mark of our sockets would match what is
  // left.
  std::ranges::sort(*rules, std::ranges::greater(), &FibRule::priority);
  for (const FibRule& rule : *rules)
    if (rule.protocol == limpid_protocol) note(removed, fib.remove(rule), "ip " + rule.text());
}

void remove_fib_routes(Fib& fib, int family, Removed& removed) {
  const auto routes = fib.our_routes(family);
  if (!routes) {
    removed.errors.push_back(routes.error());
    return;
  }
  for (const FibRoute& route : *routes) note(removed, fib.remove(route), "ip " + route.text());
}

void remove_guard(Nft& nft, Removed& removed) {
  const auto holder = holder_of(nft, "inet limpid_guard");
  if (!holder) {
    removed.errors.push_back(holder.error());
    return;
  }
  if (*holder == Holder::none) return;
  const auto result = nft.run("delete table inet limpid_guard\n");
  note(removed, result ? Result<>() : std::unexpected(result.error().in("remove the guard")),
       "table inet limpid_guard");
}

// One attempt. `false`: somebody else is the owner.
Result<bool> try_to_claim(Nft& nft) {
  const auto holder = holder_of(nft, "inet limpid");
  if (!holder) return std::unexpected(holder.error());
  if (*holder == Holder::owner) return false;
  // Ours always has an owner, so this is not what a dead one left.
  if (*holder == Holder::nobody)
    return failure(
        "there is a table inet limpid that is not limpid's: see \"nft list table inet limpid\", and remove it with "
        "\"nft delete table inet limpid\" if nobody needs it");
  const auto created = nft.run("create table inet limpid { flags owner; }\n");  // refuses if another was faster
  if (created) return true;
  const auto now = holder_of(nft, "inet limpid");
  if (now && *now == Holder::owner) return false;
  return std::unexpected(created.error());
}

}  // namespace

Result<> claim(Nft& nft, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const Result<bool> claimed = try_to_claim(nft);
    if (!claimed) return failure_in("take the table inet limpid", claimed);
    if (*claimed) return {};
    if (std::chrono::steady_clock::now() >= deadline)
      return failure(
          "another limpid runs in this network namespace: it owns the nftables table inet limpid; \"limpid withdraw\" "
          "ends "
          "it");
    std::this_thread::sleep_for(claim_interval);
  }
}

Removed remove_leftovers(Nft& nft, Mark own_mark, GuardFate guard) {
  Removed removed;
  if (const auto destroyed = destroy_tcp_sockets(own_mark); destroyed)
    removed.sockets = *destroyed;
  else
    removed.errors.push_back(destroyed.error());
  Result<Fib> fib = Fib::open();
  if (!fib) {
    removed.errors.push_back(fib.error());
  } else {
    for (const int family : {AF_INET, AF_INET6}) {
      remove_fib_rules(*fib, family, removed);
      remove_fib_routes(*fib, family, removed);
    }
  }
  if (guard == GuardFate::remove) remove_guard(nft, removed);
  return removed;
}

Result<Removed> clean_up(Mark own_mark, GuardFate guard, std::chrono::milliseconds patience) {
  Result<Nft> nft = Nft::open();
  if (!nft) return std::unexpected(nft.error());
  if (const Result<> claimed = claim(*nft, patience); !claimed) return std::unexpected(claimed.error());
  return remove_leftovers(*nft, own_mark, guard);  // nft's end takes the table along
}

}  // namespace limpid
