// SPDX-License-Identifier: MIT
#include "daemon/access_sink.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>

namespace limpid {
namespace {

Result<Fd> open_sink(const std::string& where) {
  if (where == "off") return Fd();
  Fd fd(where == "stdout" ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
                          : ::open(where.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640));
  if (!fd.is_open()) return errno_failure("open the access log " + where, errno);
  return fd;
}

}  // namespace

Result<AccessSink> AccessSink::open(boost::asio::io_context& io, std::string where) {
  Result<Fd> fd = open_sink(where);
  if (!fd) return std::unexpected(fd.error());
  return AccessSink(io, std::move(where), std::move(*fd));
}

Result<> AccessSink::reopen() {
  if (!where_.starts_with('/')) return {};
  Result<Fd> fd = open_sink(where_);
  if (!fd) return std::unexpected(fd.error());
  fd_ = std::move(*fd);
  return {};
}

Result<> AccessSink::move_to(const std::string& where) {
  if (where == where_) return {};
  Result<Fd> fd = open_sink(where);
  if (!fd) return std::unexpected(fd.error());
  fd_ = std::move(*fd);
  where_ = where;
  return {};
}

Result<Fd> AccessSink::add_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return errno_failure("pipe2 for the access log", errno);
  Fd write_end(ends[1]);
  run_beside(*io_, carry(Fd(ends[0])));
  return write_end;
}

boost::asio::awaitable<void> AccessSink::finish(Clock::time_point until) {
  while (carrying_ > 0 && Clock::now() < until) co_await changed_.wait(until);
}

boost::asio::awaitable<void> AccessSink::carry(Fd pipe) {
  ++carrying_;
  co_await carry_all(pipe);
  --carrying_;
  changed_.notify();
}

boost::asio::awaitable<void> AccessSink::carry_all(const Fd& pipe) {
  Watch watch(*io_, pipe.raw());
  std::array<char, 64 * 1024> buffer;
  std::string line_begun;
  for (;;) {
    const ssize_t n = ::read(pipe.raw(), buffer.data(), buffer.size());
    if (n == 0) co_return;
    if (n < 0 && errno == EAGAIN) {
      if (!co_await watch.readable()) co_return;
      continue;
    }
    if (n < 0) co_return;
    line_begun.append(buffer.data(), static_cast<std::size_t>(n));
    const std::size_t whole = line_begun.rfind('\n') + 1;
    if (whole > 0) co_await write(std::string_view(line_begun).substr(0, whole));
    line_begun.erase(0, whole);
    // A worker that has been taken over could send a line without an end.
    if (line_begun.size() > 64 * 1024) line_begun.clear();
  }
}

boost::asio::awaitable<void> AccessSink::until_writable() const {
  // Not O_NONBLOCK: the description may be shared with whoever started us.
  for (pollfd waiting{fd_.raw(), POLLOUT, 0}; ::poll(&waiting, 1, 0) == 0; waiting.revents = 0)
    co_await pause_for(*io_, std::chrono::milliseconds(10));
}

boost::asio::awaitable<void> AccessSink::write(std::string_view lines) {
  while (writing_) co_await changed_.wait(Clock::time_point::max());
  writing_ = true;
  while (!lines.empty()) {
    co_await until_writable();
    // A pipe that is writable takes PIPE_BUF bytes without blocking (pipe(7)).
    const ssize_t n = ::write(fd_.raw(), lines.data(), std::min<std::size_t>(lines.size(), PIPE_BUF));
    if (n > 0) {
      lines.remove_prefix(static_cast<std::size_t>(n));
      trouble_.clear();
    } else if (errno != EINTR) {
      trouble_ = fmt::format("access log {}: write: {}: lines are lost", where_, std::strerror(errno));
      break;
    }
  }
  writing_ = false;
  changed_.notify();
}

}  // namespace limpid
