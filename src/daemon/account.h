// SPDX-License-Identifier: MIT
// Which uid the worker and the watcher run under.
#pragma once
#include <optional>
#include <string>

#include "base/result.h"
#include "daemon/orders.h"

namespace limpid {

// Uids that no account has: above what systemd and containers hand out (systemd's UIDS-GIDS.md), below 2^31.
inline constexpr Account nameless_worker{2'130'005'300, 2'130'005'300};
inline constexpr Account nameless_watcher{2'130'005'301, 2'130'005'301};

// Nothing: there is no such user.
[[nodiscard]] Result<std::optional<Account>> find_account(const std::string& user);

struct WorkerAccount {
  Account account;
  bool exists = false;  // false: there is no such user, and it is nameless_worker
};

// Root is refused, by name or by number.
[[nodiscard]] Result<WorkerAccount> find_worker_account(const std::string& user);

}  // namespace limpid
