// SPDX-License-Identifier: MIT
#include "daemon/command.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string_view>
#include <utility>

namespace limpid {
namespace {

// In the child: only what is async-signal-safe. What it cannot do it says through the pipe, which exec(2) closes.
[[noreturn]] void become(char* const* arguments, char* const* environment, pid_t parent, int refusal_pipe) {
  std::signal(SIGPIPE, SIG_DFL);  // what we ignore would stay ignored
  ::prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
  if (::getppid() != parent) ::_exit(128 + SIGTERM);  // we died before the line above
  ::execvpe(arguments[0], arguments, environment);
  const int refusal = errno;
  (void)!::write(refusal_pipe, &refusal, sizeof refusal);
  ::_exit(127);
}

// Ours, but for what tells systemd that we are ready: that is not for the command to say.
std::vector<char*> environment_of_command() {
  std::vector<char*> kept;
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (!std::string_view(*entry).starts_with("NOTIFY_SOCKET=")) kept.push_back(*entry);
  kept.push_back(nullptr);
  return kept;
}

}  // namespace

Result<Command> Command::start(const std::vector<std::string>& words) {
  const std::string what = "run " + words.front();
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_failure(what + ": pipe", errno);
  const Fd reading(ends[0]);
  Fd writing(ends[1]);
  std::vector<std::string> copies = words;
  std::vector<char*> arguments;
  for (std::string& word : copies) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const std::vector<char*> environment = environment_of_command();
  const pid_t parent = ::getpid();
  // Netlink sockets of ours, and with them the owner's table, are close-on-exec.
  const pid_t pid = ::fork();
  if (pid < 0) return errno_failure(what + ": fork", errno);
  if (pid == 0) become(arguments.data(), environment.data(), parent, writing.raw());
  writing.close();
  Command command(pid, Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))));
  const int no_pidfd = command.pidfd_.is_open() ? 0 : errno;
  int refusal = 0;
  ssize_t told;
  do told = ::read(reading.raw(), &refusal, sizeof refusal);
  while (told < 0 && errno == EINTR);
  if (told == sizeof refusal) return errno_failure(what, refusal);
  if (no_pidfd != 0) return errno_failure(what + ": pidfd_open", no_pidfd);
  return command;
}

Command::Command(Command&& other) noexcept : pid_(std::exchange(other.pid_, 0)), pidfd_(std::move(other.pidfd_)) {}

Command::~Command() {
  if (pid_ == 0) return;
  signal(SIGKILL);
  (void)status();
}

bool Command::has_ended() const {
  pollfd waiting{pidfd_.raw(), POLLIN, 0};
  return pid_ == 0 || ::poll(&waiting, 1, 0) > 0;
}

void Command::signal(int number) const {
  if (pid_ != 0) ::kill(pid_, number);
}

int Command::status() {
  int status = 0;
  pid_t reaped;
  do reaped = ::waitpid(pid_, &status, 0);
  while (reaped < 0 && errno == EINTR);
  pid_ = 0;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace limpid
