// SPDX-License-Identifier: MIT
#include "daemon/policy_file.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include "policy/policy_bytes.h"

namespace limpid {

Result<Fd> write_policy_file(const PolicySource& policy) {
  Fd file(::memfd_create("limpid policy", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.is_open()) return errno_failure("memfd_create", errno);
  const std::string bytes = to_bytes(policy);
  for (std::string_view rest = bytes; !rest.empty();) {
    const ssize_t n = ::write(file.raw(), rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_failure("write the policy", errno);
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::fcntl(file.raw(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
    return errno_failure("fcntl F_ADD_SEALS", errno);
  return file;
}

Result<PolicySource> read_policy_file(const Fd& file) {
  std::string bytes;
  for (std::size_t chunk = 1 << 20;;) {
    const std::size_t before = bytes.size();
    bytes.resize(before + chunk);
    // Not at the descriptor's own place, which is where the last worker has read to.
    const ssize_t n = ::pread(file.raw(), bytes.data() + before, chunk, static_cast<off_t>(before));
    bytes.resize(before + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (n < 0 && errno != EINTR) return errno_failure("read the policy", errno);
    if (n == 0) return policy_from_bytes(bytes);
  }
}

}  // namespace limpid
