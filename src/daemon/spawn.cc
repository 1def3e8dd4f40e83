// SPDX-License-Identifier: MIT
#include "daemon/spawn.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace limpid {
namespace {

constexpr const char* own_binary = "/proc/self/exe";

Result<pid_t> exec_with_channel(const std::string& verb, int fd) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // adddup2 clears close-on-exec, even where both numbers are the same (posix_spawn_file_actions_adddup2(3p)).
  posix_spawn_file_actions_adddup2(&actions, fd, channel_fd);
  // A worker that has been taken over has no business with our terminal, or with an access log on it; what it says of
  // its own end goes to standard error.
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO})
    posix_spawn_file_actions_addopen(&actions, standard, "/dev/null", O_RDWR, 0);
  std::string name = "limpid";
  std::string argument = verb;
  char* arguments[] = {name.data(), argument.data(), nullptr};
  pid_t pid = 0;
  const int refusal = ::posix_spawn(&pid, own_binary, &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (refusal != 0) return errno_failure(std::string("posix_spawn ") + own_binary, refusal);
  return pid;
}

}  // namespace

Result<Child> spawn(const std::string& verb) {
  Result<std::pair<Channel, Channel>> pair = Channel::create_pair();
  if (!pair) return failure_in("start the " + verb, pair);
  const Result<pid_t> pid = exec_with_channel(verb, pair->second.fd());
  if (!pid) return failure_in("start the " + verb, pid);
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)));
  const int refusal = errno;
  Child child{*pid, std::move(pidfd), std::move(pair->first)};
  if (!child.pidfd.is_open()) {
    ::kill(child.pid, SIGKILL);
    (void)reap(child);
    return errno_failure("start the " + verb + ": pidfd_open", refusal);
  }
  return child;
}

void kill_and_reap(Child& child) {
  if (child.pid == 0) return;
  ::kill(child.pid, SIGKILL);
  (void)reap(child);
}

std::string reap(Child& child) {
  if (child.pid == 0) return "reaped before";
  int status = 0;
  pid_t reaped;
  do reaped = ::waitpid(child.pid, &status, 0);
  while (reaped < 0 && errno == EINTR);
  child.pid = 0;
  if (reaped < 0) return std::strerror(errno);
  if (WIFSIGNALED(status)) return fmt::format("signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  return fmt::format("exit status {}", WEXITSTATUS(status));
}

}  // namespace limpid
