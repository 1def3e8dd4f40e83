// SPDX-License-Identifier: MIT
#include "cli/demo_gateway.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace limpid {
namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
  Fd read_end;
  Fd write_end;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_failure("pipe", errno);
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

struct Outputs {
  int output;
  int messages;
};

// Between fork and exec only what signal-safety(7) allows: another thread may have held any lock.
[[noreturn]] void become(char* const* arguments, char* const* environment, const Outputs& outputs, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(outputs.output, STDOUT_FILENO);
  ::dup2(outputs.messages, STDERR_FILENO);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);  // Boost.Asio's sockets stay open over exec
  ::execve(arguments[0], arguments, environment);
  ::_exit(127);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

struct Child {
  pid_t pid;
  Fd process;
};

Result<Child> spawn(const NetworkNamespace& where, std::vector<std::string> command, const Outputs& outputs,
                    const std::string& notify_socket) {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (std::strncmp(*entry, "NOTIFY_SOCKET=", 14) != 0) environment.emplace_back(*entry);
  if (!notify_socket.empty()) environment.push_back("NOTIFY_SOCKET=" + notify_socket);
  const std::vector<char*> arguments = pointers(command);
  const std::vector<char*> variables = pointers(environment);
  const pid_t parent = ::getpid();
  pid_t pid = -1;
  {
    const NetworkNamespace::Inside inside(where);
    pid = ::fork();
    if (pid == 0) become(arguments.data(), variables.data(), outputs, parent);
  }
  if (pid < 0) return errno_failure("fork", errno);
  Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process.is_open()) {
    const int code = errno;
    ::kill(pid, SIGKILL);
    return errno_failure("pidfd_open", code);
  }
  return Child{pid, std::move(process)};
}

int milliseconds_until(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
  return static_cast<int>(std::max<std::chrono::milliseconds::rep>(left.count(), 0));
}

// Is one of the two readable before the deadline? The first that is, or -1.
int first_readable(int one, int other, Clock::time_point deadline) {
  std::array<pollfd, 2> waiting{pollfd{one, POLLIN, 0}, pollfd{other, POLLIN, 0}};
  if (::poll(waiting.data(), waiting.size(), milliseconds_until(deadline)) <= 0) return -1;
  return waiting[0].revents != 0 ? one : other;
}

// An abstract name, which belongs to the network namespace: nothing to remove afterwards.
Result<Fd> listen_for_notices(const NetworkNamespace& where, const std::string& name) {
  const NetworkNamespace::Inside inside(where);
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.is_open()) return errno_failure("socket", errno);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (::bind(socket.raw(), reinterpret_cast<const sockaddr*>(&address), length) != 0)
    return errno_failure("bind the notify socket", errno);
  return socket;
}

}  // namespace

Result<std::unique_ptr<DemoGateway>> DemoGateway::start(const NetworkNamespace& where,
                                                        const std::vector<std::string>& command) {
  std::unique_ptr<DemoGateway> gateway(new DemoGateway);
  // What outlives its parent comes to us: so we see when the last of it has ended.
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return errno_failure("become subreaper", errno);
  sigset_t deaths;
  ::sigemptyset(&deaths);
  ::sigaddset(&deaths, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &deaths, nullptr);
  gateway->deaths_ = Fd(::signalfd(-1, &deaths, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!gateway->deaths_.is_open()) return errno_failure("signalfd", errno);
  const std::string name = "limpid-demo";
  Result<Fd> notices = listen_for_notices(where, name);
  if (!notices) return std::unexpected(notices.error());
  gateway->notices_ = std::move(*notices);
  Result<Pipe> pipe = make_pipe();
  if (!pipe) return std::unexpected(pipe.error());
  gateway->output_ = std::move(pipe->read_end);
  gateway->messages_ = Fd(::memfd_create("messages", MFD_CLOEXEC));
  if (!gateway->messages_.is_open()) return errno_failure("memfd_create", errno);
  Result<Child> child = spawn(where, command, {pipe->write_end.raw(), gateway->messages_.raw()}, "@" + name);
  if (!child) return std::unexpected(child.error());
  gateway->pid_ = child->pid;
  gateway->process_ = std::move(child->process);
  return gateway;
}

DemoGateway::~DemoGateway() {
  if (pid_ < 0) return;
  kill_supervisor();
  // Nothing to tell it to: what is left dies with its namespace's processes, by the watcher.
  static_cast<void>(await_end(std::chrono::seconds(2)));
}

Result<> DemoGateway::await_ready(std::chrono::milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  for (;;) {
    const int ready = first_readable(notices_.raw(), process_.raw(), deadline);
    if (ready < 0) return failure(fmt::format("not ready after {} ms", patience.count()));
    if (ready == process_.raw()) return failure("ended before it was ready");
    std::array<char, 4096> notice;
    const ssize_t size = ::recv(notices_.raw(), notice.data(), notice.size(), 0);
    if (size < 0) return errno_failure("recv", errno);
    const std::string_view text(notice.data(), static_cast<std::size_t>(size));
    if (text.starts_with("READY=1") || text.find("\nREADY=1") != std::string_view::npos) return {};
  }
}

Result<std::string> DemoGateway::next_line(std::chrono::milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  for (;;) {
    if (const std::size_t end = pending_.find('\n'); end != std::string::npos) {
      std::string line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      return line;
    }
    pollfd waiting{output_.raw(), POLLIN, 0};
    if (::poll(&waiting, 1, milliseconds_until(deadline)) <= 0)
      return failure(fmt::format("no line in the access log within {} ms", patience.count()));
    std::array<char, 4096> piece;
    const ssize_t size = ::read(output_.raw(), piece.data(), piece.size());
    if (size < 0) return errno_failure("read", errno);
    if (size == 0) return failure("the access log has ended");
    pending_.append(piece.data(), static_cast<std::size_t>(size));
  }
}

std::string DemoGateway::messages() const {
  std::string text;
  std::array<char, 4096> piece;
  off_t offset = 0;
  for (ssize_t size = 0; (size = ::pread(messages_.raw(), piece.data(), piece.size(), offset)) > 0; offset += size)
    text.append(piece.data(), static_cast<std::size_t>(size));
  return text;
}

void DemoGateway::kill_supervisor() { ::syscall(SYS_pidfd_send_signal, process_.raw(), SIGKILL, nullptr, 0); }

Result<> DemoGateway::await_end(std::chrono::milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  for (;;) {
    siginfo_t ended{};
    if (::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG) != 0) {
      if (errno != ECHILD) return errno_failure("waitid", errno);
      pid_ = -1;
      return {};
    }
    if (ended.si_pid != 0) continue;  // the children that it had are ours now: look again
    pollfd waiting{deaths_.raw(), POLLIN, 0};
    if (::poll(&waiting, 1, milliseconds_until(deadline)) <= 0)
      return failure(fmt::format("still running after {} ms", patience.count()));
    signalfd_siginfo signal;
    [[maybe_unused]] const ssize_t size = ::read(deaths_.raw(), &signal, sizeof signal);  // deaths may share one
  }
}

}  // namespace limpid
