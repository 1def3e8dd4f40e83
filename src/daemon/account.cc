// SPDX-License-Identifier: MIT
#include "daemon/account.h"

#include <pwd.h>

#include <array>

namespace limpid {

Result<std::optional<Account>> find_account(const std::string& user) {
  std::array<char, 4096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  const int refusal = ::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (refusal != 0) return errno_failure("look up the user " + user, refusal);
  if (found == nullptr) return std::nullopt;
  return Account{found->pw_uid, found->pw_gid};
}

Result<WorkerAccount> find_worker_account(const std::string& user) {
  const Result<std::optional<Account>> account = find_account(user);
  if (!account) return std::unexpected(account.error());
  if (!*account) return WorkerAccount{nameless_worker, false};
  if ((*account)->uid == 0) return failure("process.user: \"" + user + "\" is root: name an account without rights");
  return WorkerAccount{**account, true};
}

}  // namespace limpid
