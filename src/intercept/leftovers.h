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
// watcher that cleans up holds it for a moment.
[[nodiscard]] Result<> claim(Nft& nft, std::chrono::milliseconds patience);

// With the lock held: what a dead instance left goes, going on past failures. Running it again finds nothing.
Removed remove_leftovers(Nft& nft, Mark own_mark, GuardFate guard);

// The whole of it, for the watcher and `limpid withdraw`: claims, removes, lets go. A living instance is an error and
// is left alone.
[[nodiscard]] Result<Removed> clean_up(Mark own_mark, GuardFate guard, std::chrono::milliseconds patience);

}  // namespace limpid
