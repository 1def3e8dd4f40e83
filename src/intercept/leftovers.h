// SPDX-License-Identifier: MIT
// What an instance that died left in this network namespace, and taking it away. CAP_NET_ADMIN.
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"
#include "intercept/fib.h"
#include "intercept/nft.h"
#include "intercept/plan.h"
#include "net/sock_diag.h"

namespace limpid {

enum class GuardFate { keep, remove };

// Everything that was done, and everything that was refused; what was not there is neither.
struct Removed {
  std::vector<std::string> what;  // lines in ip(8)'s and nft(8)'s words
  Destroyed sockets;
  std::vector<Error> errors;
};

// Takes `table inet limpid` for this nft, empty and with `flags owner`: the lock of "one instance a network namespace".
// An ownerless one of that name is somebody else's, and an error. Another owner is waited for that long, since a
// watcher that cleans up holds it for a moment. Likewise the table of a set-up for another proxy, by its name.
[[nodiscard]] Result<> claim(Nft& nft, std::chrono::milliseconds patience, const Instance& whose = {});
// While it lives, nobody else chooses numbers for a set-up of `limpid rules`, or changes one, in this network
// namespace.
[[nodiscard]] Result<Nft> lock_rules(std::chrono::milliseconds patience);
// What a claimed table begins with, as one command.
[[nodiscard]] std::string text_of_claim(const Instance& whose);

// Sockets with own_mark, and none if nobody has such a mark (mask 0).
void destroy_sockets(Mark own_mark, Removed& removed);

// With the lock held: what a dead instance left goes, going on past failures. Running it again finds nothing.
Removed remove_leftovers(Nft& nft, Mark own_mark, GuardFate guard, const Instance& whose = {});
// Fib rules and routes of a protocol number.
void remove_fib_of(std::uint8_t protocol, Removed& removed);
// A table, if it is there.
void remove_table(Nft& nft, const std::string& table, Removed& removed);

// The whole of it, for the watcher and `limpid withdraw`: claims, removes, lets go. A living instance is an error and
// is left alone.
[[nodiscard]] Result<Removed> clean_up(Mark own_mark, GuardFate guard, std::chrono::milliseconds patience,
                                       const Instance& whose = {});

}  // namespace limpid
