// SPDX-License-Identifier: MIT
#include "exec/call_listener.h"

#include <linux/seccomp.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"

namespace limpid {
namespace {

// Linux 6.6 (include/uapi/linux/seccomp.h), newer than Debian 12's headers.
constexpr unsigned long set_flags = _IOW('!', 4, std::uint64_t);
constexpr std::uint64_t sync_wake_up = 1;

// 0 or errno. A stopped attendant that goes on may find its call interrupted.
template <class Argument>
int speak(int fd, unsigned long request, Argument& argument) {
  int answer;
  do answer = ::ioctl(fd, request, &argument);
  while (answer != 0 && errno == EINTR);
  return answer == 0 ? 0 : errno;
}

// Whoever waited may be gone: ENOENT. All else would be our mistake.
void respond(int fd, seccomp_notif_resp response) {
  const int refusal = speak(fd, SECCOMP_IOCTL_NOTIF_SEND, response);
  CHECK(refusal == 0 || refusal == ENOENT);
}

}  // namespace

CallListener::CallListener(Fd fd) : fd_(std::move(fd)) {
  // Caller and attendant take turns on one processor (docs/kernel.md, F36). Older kernels do not know it.
  ::ioctl(fd_.raw(), set_flags, sync_wake_up);
}

std::optional<PendingCall> CallListener::next() const {
  seccomp_notif notification{};
  if (const int refusal = speak(fd_.raw(), SECCOMP_IOCTL_NOTIF_RECV, notification)) {
    CHECK(refusal == ENOENT);
    return std::nullopt;
  }
  PendingCall call{
      .id = notification.id, .thread = static_cast<pid_t>(notification.pid), .number = notification.data.nr};
  std::ranges::copy(notification.data.args, call.arguments.begin());
  return call;
}

bool CallListener::is_pending(const PendingCall& call) const {
  return speak(fd_.raw(), SECCOMP_IOCTL_NOTIF_ID_VALID, call.id) == 0;
}

void CallListener::let_through(const PendingCall& call) const {
  respond(fd_.raw(), {.id = call.id, .val = 0, .error = 0, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE});
}

void CallListener::refuse(const PendingCall& call, int refusal) const {
  CHECK(refusal > 0);
  respond(fd_.raw(), {.id = call.id, .val = 0, .error = -refusal, .flags = 0});
}

}  // namespace limpid
