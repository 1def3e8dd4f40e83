// SPDX-License-Identifier: MIT
#include "daemon/confine.h"

#include <cap-ng.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <csignal>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

namespace limpid {
namespace {

constexpr auto effective_and_permitted = static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED);

std::string upper_case(std::string text) {
  for (char& letter : text) letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
  return text;
}

// Becomes another user who has these capabilities and cannot get more.
Result<> become(const Account& account, std::initializer_list<unsigned> capabilities) {
  capng_clear(CAPNG_SELECT_BOTH);
  for (const unsigned capability : capabilities)
    if (capng_update(CAPNG_ADD, effective_and_permitted, capability) != 0) return failure("capng_update refused");
  // Clearing the bounding set needs CAP_SETPCAP, so it is done before the change of user (capng_change_id(3)).
  const int refusal = capng_change_id(static_cast<int>(account.uid), static_cast<int>(account.gid),
                                      static_cast<capng_flags_t>(CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING));
  if (refusal != 0)
    return errno_failure(fmt::format("become uid {} (capng_change_id: {})", account.uid, refusal), errno);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno_failure("prctl PR_SET_NO_NEW_PRIVS", errno);
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return errno_failure("prctl PR_SET_DUMPABLE", errno);
  return {};
}

// Everything the path and its runtime call; anything else is EPERM.
constexpr int allowed_calls[] = {
    // the path
    SCMP_SYS(accept4),
    SCMP_SYS(bind),
    SCMP_SYS(close),
    SCMP_SYS(connect),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(eventfd2),
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockname),
    SCMP_SYS(getsockopt),
    SCMP_SYS(poll),
    SCMP_SYS(pread64),
    SCMP_SYS(ppoll),
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(setsockopt),
    SCMP_SYS(shutdown),
    SCMP_SYS(splice),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    // the C library: memory, threads, time, the end
    SCMP_SYS(brk),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(futex),
    SCMP_SYS(getpid),
    SCMP_SYS(getrandom),
    SCMP_SYS(gettid),
    SCMP_SYS(madvise),
    SCMP_SYS(mmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(mremap),
    SCMP_SYS(munmap),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rseq),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_yield),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(tgkill),
};

Result<> allow_only_known_calls() {
  const std::unique_ptr<void, decltype(&seccomp_release)> filter(seccomp_init(SCMP_ACT_ERRNO(EPERM)), seccomp_release);
  if (!filter) return failure("seccomp_init refused");
  for (const int call : allowed_calls)
    if (const int refusal = seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0))
      return errno_failure(fmt::format("seccomp_rule_add {}", call), -refusal);
  // socket(2): IPv4 and IPv6, streams and datagrams; neither packet, raw, netlink nor any other. The type carries
  // flags.
  constexpr std::uint64_t type_mask = 0xf;
  for (const int family : {AF_INET, AF_INET6})
    for (const int type : {SOCK_STREAM, SOCK_DGRAM})
      if (const int refusal = seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(socket), 3,
                                               SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(family)),
                                               SCMP_A1(SCMP_CMP_MASKED_EQ, type_mask, static_cast<scmp_datum_t>(type)),
                                               SCMP_A2(SCMP_CMP_EQ, 0)))
        return errno_failure("seccomp_rule_add socket", -refusal);
  // Threads, not processes. clone3(2) passes its flags in memory, where a filter cannot see them: "not implemented"
  // makes the C library fall back to clone(2).
  if (const int refusal = seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0))
    return errno_failure("seccomp_rule_add clone3", -refusal);
  if (const int refusal = seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                           SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)))
    return errno_failure("seccomp_rule_add clone", -refusal);
  if (const int refusal = seccomp_load(filter.get())) return errno_failure("seccomp_load", -refusal);
  return {};
}

}  // namespace

std::vector<Capability> needed_capabilities() {
  std::vector<Capability> needed;
  for (const unsigned number :
       {CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE, CAP_SETUID, CAP_SETGID, CAP_SETPCAP, CAP_KILL})
    needed.push_back({number, "CAP_" + upper_case(capng_capability_to_name(number))});
  return needed;
}

Result<> confine_supervisor() {
  constexpr auto kept = static_cast<capng_type_t>(effective_and_permitted | CAPNG_BOUNDING_SET);
  std::vector<unsigned> keep;
  if (capng_get_caps_process() != 0) return failure("read this process's capabilities: capng_get_caps_process refused");
  for (const Capability& capability : needed_capabilities()) {
    if (capng_have_capability(CAPNG_EFFECTIVE, capability.number) == 0)
      return failure(fmt::format("this needs {}: run it as root", capability.name));
    keep.push_back(capability.number);
  }
  // Without it there are fewer large pipes for bulk (pipe(7)); a container's root often has not got it.
  if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_RESOURCE) != 0) keep.push_back(CAP_SYS_RESOURCE);
  capng_clear(CAPNG_SELECT_BOTH);
  for (const unsigned capability : keep)
    if (capng_update(CAPNG_ADD, kept, capability) != 0) return failure("capng_update refused");
  if (const int refusal = capng_apply(CAPNG_SELECT_BOTH))
    return failure(fmt::format("limit the capabilities: capng_apply: {}", refusal));
  return {};
}

Result<> confine_worker(const Account& account) {
  if (Result<> done = become(account, {CAP_NET_RAW, CAP_NET_BIND_SERVICE}); !done) return done;
  // After the change of user, which resets it (prctl(2)). It holds for a stopped worker too.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return errno_failure("prctl PR_SET_PDEATHSIG", errno);
  return allow_only_known_calls();
}

Result<> confine_watcher(const Account& account) { return become(account, {CAP_NET_ADMIN}); }

Result<std::uint64_t> raise_descriptor_limit() {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return errno_failure("getrlimit RLIMIT_NOFILE", errno);
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return errno_failure("setrlimit RLIMIT_NOFILE", errno);
  return limit.rlim_cur;
}

}  // namespace limpid
