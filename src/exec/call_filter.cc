// SPDX-License-Identifier: MIT
#include "exec/call_filter.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

namespace limpid {
namespace {

static_assert(sizeof(sock_filter) == sizeof(std::uint64_t));

struct WatchedCall {
  int number;
  std::vector<scmp_arg_cmp> only_with;  // arguments for which it is watched; none: always
};

std::vector<WatchedCall> watched_calls(const Permissions& permissions) {
  std::vector<WatchedCall> calls;
  if (permissions.bind_any) calls.push_back({SCMP_SYS(bind), {}});
  if (permissions.source) {
    constexpr unsigned address_argument =
        4;  // of sendto(2); what is sent without one goes where the socket is connected
    calls.push_back({SCMP_SYS(connect), {}});
    calls.push_back({SCMP_SYS(sendto), {scmp_arg_cmp{address_argument, SCMP_CMP_NE, 0, 0}}});
    calls.push_back({SCMP_SYS(sendmsg), {}});
    calls.push_back({SCMP_SYS(sendmmsg), {}});
  }
  return calls;
}

// What libseccomp has made of it, by way of a file in memory: its own seccomp_load() knows only the flags of its time.
Result<std::vector<std::uint64_t>> instructions_of(scmp_filter_ctx context) {
  const Fd file(::memfd_create("limpid-filter", MFD_CLOEXEC));
  if (!file.is_open()) return errno_failure("memfd_create", errno);
  if (const int refusal = seccomp_export_bpf(context, file.raw())) return errno_failure("seccomp_export_bpf", -refusal);
  const off_t size = ::lseek(file.raw(), 0, SEEK_CUR);
  if (size <= 0) return failure("seccomp_export_bpf has written nothing");
  std::vector<std::uint64_t> instructions(static_cast<std::size_t>(size) / sizeof(std::uint64_t));
  if (::pread(file.raw(), instructions.data(), static_cast<std::size_t>(size), 0) != size)
    return errno_failure("pread of the filter", errno);
  return instructions;
}

}  // namespace

Result<CallFilter> CallFilter::make(const Permissions& permissions) {
  const std::unique_ptr<void, decltype(&seccomp_release)> context(seccomp_init(SCMP_ACT_ALLOW), seccomp_release);
  if (!context) return failure("seccomp_init refused");
  if (const int refusal = seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW))
    return errno_failure("seccomp_attr_set", -refusal);
  for (const auto& [number, only_with] : watched_calls(permissions))
    if (const int refusal = seccomp_rule_add_array(context.get(), SCMP_ACT_NOTIFY, number,
                                                   static_cast<unsigned>(only_with.size()), only_with.data()))
      return errno_failure(fmt::format("seccomp_rule_add {}", number), -refusal);
  if (permissions.source)
    if (const int refusal = seccomp_rule_add(context.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(io_uring_setup), 0))
      return errno_failure("seccomp_rule_add io_uring_setup", -refusal);
  Result<std::vector<std::uint64_t>> instructions = instructions_of(context.get());
  if (!instructions) return std::unexpected(instructions.error());
  return CallFilter(std::move(*instructions));
}

Result<Fd> CallFilter::install() const {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno_failure("prctl PR_SET_NO_NEW_PRIVS", errno);
  std::vector<std::uint64_t> instructions = instructions_;
  const sock_fprog program{.len = static_cast<unsigned short>(instructions.size()),
                           .filter = reinterpret_cast<sock_filter*>(instructions.data())};
  // A call that is being answered is not interrupted by signals that have a handler: the program would be told EINTR,
  // or make the call again (Linux 5.19).
  constexpr unsigned long listener = SECCOMP_FILTER_FLAG_NEW_LISTENER;
  Fd fd;
  for (const unsigned long flags : {listener | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, listener}) {
    fd = Fd(static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program)));
    if (fd.is_open() || errno != EINVAL) break;
  }
  if (fd.is_open()) return fd;
  if (errno == EBUSY)
    return failure(
        "seccomp: somebody else answers system calls of this process already: another `limpid exec`, or the "
        "container that it runs in",
        EBUSY);
  return errno_failure("seccomp", errno);
}

}  // namespace limpid
