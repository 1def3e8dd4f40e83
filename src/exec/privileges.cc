// SPDX-License-Identifier: MIT
#include "exec/privileges.h"

#include <cap-ng.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "net/socket.h"

namespace limpid {
namespace {

Result<> apply_capabilities() {
  if (const int refusal = capng_apply(CAPNG_SELECT_CAPS))
    return failure(fmt::format("limit the capabilities: capng_apply: {}", refusal));
  return {};
}

}  // namespace

Result<> expect_transparency() {
  const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return errno_failure("socket", errno);
  const int refusal = make_transparent(fd.raw(), AF_INET);
  if (refusal == EPERM)
    return failure(
        "this needs CAP_NET_RAW: run limpid as root and the program as whom you like, with setpriv(1), or give "
        "limpid the capability (limpid(8), exec)",
        EPERM);
  if (refusal != 0) return errno_failure("IP_TRANSPARENT", refusal);
  return {};
}

Result<> give_up_privileges() {
  const uid_t user = ::getuid();
  const gid_t group = ::getgid();
  if (user == 0) return {};
  if (::setresgid(group, group, group) != 0 || ::setresuid(user, user, user) != 0)
    return errno_failure("become the calling user", errno);
  capng_clear(CAPNG_SELECT_CAPS);
  return apply_capabilities();
}

Result<> keep_what_attending_needs() {
  if (capng_get_caps_process() != 0) return failure("read this process's capabilities: capng_get_caps_process refused");
  // Without CAP_SYS_PTRACE it reaches only those who have no capability that it lacks, and root's program has root's.
  if (::geteuid() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_PTRACE) == 0) return {};
  std::vector<unsigned> keep;
  for (const unsigned capability : {CAP_NET_RAW, CAP_NET_ADMIN, CAP_NET_BIND_SERVICE, CAP_SYS_PTRACE})
    if (capng_have_capability(CAPNG_EFFECTIVE, capability) != 0) keep.push_back(capability);
  capng_clear(CAPNG_SELECT_CAPS);
  for (const unsigned capability : keep)
    if (capng_update(CAPNG_ADD, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED), capability) != 0)
      return failure("capng_update refused");
  return apply_capabilities();
}

}  // namespace limpid
