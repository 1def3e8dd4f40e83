// SPDX-License-Identifier: MIT
#include "daemon/account.h"

#include <pwd.h>

#include <array>

namespace limpid {

Result<WorkerAccount> find_worker_account(const std::string& user) {
  std::array<char, 4096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  const int refusal = ::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (refusal != 0) return errno_failure("look up the user " + user, refusal);
  if (found == nullptr) return WorkerAccount{nameless_worker, false};
  if (found->pw_uid == 0) return failure("process.user: \"" + user + "\" is root: name an account without rights");
  return WorkerAccount{{found->pw_uid, found->pw_gid}, true};
}

}  // namespace limpid
