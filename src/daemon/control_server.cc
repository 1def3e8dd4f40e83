// SPDX-License-Identifier: MIT
#include "daemon/control_server.h"

#include <sys/socket.h>

#include <cerrno>

#include "api/control.h"
#include "daemon/waiting.h"

namespace limpid {
namespace {
constexpr std::chrono::seconds request_within{5};
}

Result<ControlServer> ControlServer::open(boost::asio::io_context& io, const std::string& socket_path, Answer answer) {
  Result<Fd> fd = listen_for_requests(socket_path);
  if (!fd) return std::unexpected(fd.error());
  return ControlServer(io, socket_path, std::move(*fd), std::move(answer));
}

ControlServer::~ControlServer() {
  if (fd_.is_open()) ::unlink(path_.c_str());
}

boost::asio::awaitable<void> ControlServer::serve() {
  Watch watch(*io_, fd_.raw());
  for (;;) {
    if (!co_await watch.readable()) co_return;
    Fd connection(::accept4(fd_.raw(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection.is_open())
      run_beside(*io_, serve_one(std::move(connection)));
    else if (errno != EAGAIN && errno != ECONNABORTED)
      co_await pause_for(*io_, std::chrono::milliseconds(100));  // no descriptors: it waits in the queue
  }
}

boost::asio::awaitable<void> ControlServer::serve_one(Fd connection) {
  Watch watch(*io_, connection.raw());
  std::string request;
  for (const auto until = Clock::now() + request_within; !request.ends_with('\n');) {
    if (!co_await watch.readable(until)) co_return;
    char buffer[longest_request];
    const ssize_t n = ::recv(connection.raw(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN)) co_return;
    if (n > 0) request.append(buffer, static_cast<std::size_t>(n));
    if (request.size() > longest_request) co_return;
  }
  request.pop_back();
  const Result<std::string> result = co_await answer_(std::move(request));
  const std::string answer = result ? answer_result(*result) : answer_error(result.error().what);
  // Who does not read it goes without.
  std::string_view rest = answer;
  for (const auto until = Clock::now() + request_within; !rest.empty() && Clock::now() < until;) {
    const ssize_t n = ::send(connection.raw(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN) co_return;
    if (n > 0) rest.remove_prefix(static_cast<std::size_t>(n));
    if (!rest.empty()) co_await pause_for(*io_, std::chrono::milliseconds(1));
  }
}

}  // namespace limpid
