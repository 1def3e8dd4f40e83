// SPDX-License-Identifier: MIT
#include "exec/attendant.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <set>
#include <string>
#include <thread>

#include "base/check.h"
#include "exec/call_preparation.h"
#include "exec/caller.h"
#include "exec/privileges.h"

namespace limpid {
namespace {

// One number each way at a time, over a socket that keeps them apart. send(2) and read(2): no filter has them wait.
bool tell(const Fd& channel, int number) {
  return ::send(channel.raw(), &number, sizeof number, MSG_NOSIGNAL) == sizeof number;
}
std::optional<int> hear(const Fd& channel) {
  int number = 0;
  ssize_t size;
  do size = ::read(channel.raw(), &number, sizeof number);
  while (size < 0 && errno == EINTR);
  return size == sizeof number ? std::optional(number) : std::nullopt;
}

// Standard error for as long as the program that was started lives: whoever reads it then waits for its end.
class Complaints {
 public:
  // Each once: a program that is refused something tends to try again. Lost where nobody reads, for the program waits.
  void tell(const Error& error) {
    const std::string line = fmt::format("limpid: exec: {}\n", error.what);
    pollfd room{STDERR_FILENO, POLLOUT, 0};
    if (!told_.insert(line).second || ::poll(&room, 1, 0) != 1) return;
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
  }

 private:
  std::set<std::string> told_;
};

// By something that takes no text and needs no /dev.
void replace_by_nothing(std::initializer_list<int> descriptors) {
  const Fd nothing(::eventfd(0, EFD_CLOEXEC));
  for (const int descriptor : descriptors)
    if (nothing.is_open()) ::dup2(nothing.raw(), descriptor);
}

// What this process has inherited is the program's: a pipe whose end is held here too would never be at its end.
void let_go_of_all_but(std::array<int, 3> kept) {
  std::ranges::sort(kept);
  replace_by_nothing({STDIN_FILENO, STDOUT_FILENO});
  unsigned first = STDERR_FILENO + 1;
  for (const int descriptor : kept) {
    const auto here = static_cast<unsigned>(descriptor);
    if (first < here) ::close_range(first, here - 1, 0);
    first = here + 1;
  }
  ::close_range(first, ~0U, 0);
}

// A thread of its own, so that the other need not ask who it is that wakes it: a system call less for each answer.
[[noreturn]] void wait_for_the_end(const CallListener& listener, const Fd& program) {
  // POLLHUP, nobody is left, is told unasked (poll(2)).
  pollfd waiting[] = {{listener.raw(), 0, 0}, {program.raw(), POLLIN, 0}};
  auto& [everybody, first] = waiting;
  while (everybody.revents == 0) {
    if (::poll(waiting, std::size(waiting), -1) < 0) {
      CHECK(errno == EINTR);  // stopped and continued
    } else if (first.revents != 0) {
      replace_by_nothing({STDERR_FILENO});
      first.fd = -1;  // poll(2) passes over it
    }
  }
  std::_Exit(EXIT_SUCCESS);
}

[[noreturn]] void answer_calls(const CallListener& listener, const Permissions& permissions) {
  CallPreparation preparation(listener, permissions);
  Complaints complaints;
  while (true) {
    const std::optional<PendingCall> call = listener.next();
    if (!call) continue;
    const Result<> prepared = preparation.prepare(*call);
    if (prepared) {
      listener.let_through(*call);
    } else {
      listener.refuse(*call, prepared.error().code);
      complaints.tell(prepared.error());
    }
  }
}

// `channel`: to the process that will be the program, `program`: its pidfd.
[[noreturn]] void attend(Fd channel, const Fd& program, const Permissions& permissions) {
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  ::prctl(PR_SET_NAME, "limpid-exec");
  if (::chdir("/") != 0) std::_Exit(EXIT_FAILURE);  // the program's directory may be unmounted one day
  if (const Result<> confined = keep_what_attending_needs(); !confined) {
    Complaints().tell(confined.error());
    std::_Exit(EXIT_FAILURE);
  }
  if (!tell(channel, ::getpid())) std::_Exit(EXIT_FAILURE);
  const std::optional<int> number = hear(channel);
  if (!number) std::_Exit(EXIT_FAILURE);  // it has given up
  std::expected<Fd, int> listener = take_descriptor(program, *number);
  if (!listener) {
    (void)tell(channel, listener.error());
    std::_Exit(EXIT_FAILURE);
  }
  const CallListener calls(std::move(*listener));
  let_go_of_all_but({calls.raw(), program.raw(), channel.raw()});
  std::thread(wait_for_the_end, std::cref(calls), std::cref(program)).detach();
  if (!tell(channel, 0)) std::_Exit(EXIT_FAILURE);
  channel.close();
  answer_calls(calls, permissions);
}

}  // namespace

Result<Attendant> Attendant::start(const Permissions& permissions) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return errno_failure("socketpair", errno);
  Fd ours(pair[0]);
  Fd theirs(pair[1]);
  const Fd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (!self.is_open()) return errno_failure("pidfd_open", errno);
  // Twice: the program gets no child that it has not started.
  const pid_t middle = ::fork();
  if (middle < 0) return errno_failure("fork", errno);
  if (middle == 0) {
    if (::setsid() < 0) std::_Exit(EXIT_FAILURE);
    if (::fork() != 0) std::_Exit(EXIT_SUCCESS);  // one that could not start one is heard of by its silence
    ours.close();
    attend(std::move(theirs), self, permissions);
  }
  theirs.close();
  while (::waitpid(middle, nullptr, 0) < 0 && errno == EINTR) {
  }
  const std::optional<int> pid = hear(ours);
  if (!pid) return failure("the process that answers the program's calls has ended");
  return Attendant(std::move(ours), *pid);
}

Result<> Attendant::attend_to(const Fd& listener) {
  // Yama lets only ancestors take descriptors, unless told (Documentation/admin-guide/LSM/Yama.rst); EINVAL without it.
  ::prctl(PR_SET_PTRACER, pid_, 0, 0, 0);
  const std::optional<int> refusal = tell(channel_, listener.raw()) ? hear(channel_) : std::nullopt;
  if (!refusal) return failure("the process that answers the program's calls has ended");
  if (*refusal != 0) return errno_failure("take descriptors of the program's (pidfd_getfd(2))", *refusal);
  return {};
}

}  // namespace limpid
