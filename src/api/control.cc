// SPDX-License-Identifier: MIT
#include "api/control.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>

namespace limpid {
namespace {

namespace json = boost::json;

Result<sockaddr_un> path_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return failure(
        fmt::format("control socket \"{}\": a path of 1 to {} bytes is wanted", path, sizeof address.sun_path - 1));
  std::memcpy(address.sun_path, path.c_str(), path.size());
  return address;
}

Result<Fd> unix_socket() {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return errno_failure("socket AF_UNIX", errno);
  return fd;
}

Result<Fd> connect_to(const std::string& path) {
  const Result<sockaddr_un> address = path_address(path);
  if (!address) return std::unexpected(address.error());
  Result<Fd> fd = unix_socket();
  if (fd && ::connect(fd->raw(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0)
    return errno_failure("connect to " + path, errno);
  return fd;
}

// The whole answer, up to its line feed.
Result<std::string> read_answer(int fd, std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  std::string answer;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    pollfd waiting{fd, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(std::max<long>(left, 0)));
    if (ready < 0 && errno != EINTR) return errno_failure("poll", errno);
    if (ready == 0) return failure("limpid runs, but does not answer", ETIMEDOUT);
    char buffer[4096];
    const ssize_t n = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n > 0) answer.append(buffer, static_cast<std::size_t>(n));
    if (answer.ends_with('\n')) return answer;
    if (n == 0) return failure("limpid ended before it had answered");
    if (n < 0 && errno != EAGAIN && errno != EINTR) return errno_failure("recv", errno);
  }
}

}  // namespace

Result<> remove_dead_socket(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return {};
  // connect(2) refuses a file that is no socket in the same words.
  if (!S_ISSOCK(status.st_mode))
    return failure(fmt::format("control socket {}: a file of another kind is there: name another with --socket", path));
  if (::unlink(path.c_str()) != 0) return errno_failure("remove the control socket of a dead limpid, " + path, errno);
  return {};
}

Error nobody_there(const std::string& socket_path) {
  return {fmt::format("no limpid listens at {}: start one with `limpid run`, or name its socket with --socket",
                      socket_path)};
}

bool is_nobody_there(const Error& error) { return error.code == ENOENT || error.code == ECONNREFUSED; }

Result<std::string> ask(const std::string& socket_path, const std::string& request,
                        std::chrono::milliseconds patience) {
  const Result<Fd> fd = connect_to(socket_path);
  if (!fd) return std::unexpected(fd.error());
  const std::string line = request + "\n";
  if (::send(fd->raw(), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size()))
    return errno_failure("send to " + socket_path, errno);
  const Result<std::string> answer = read_answer(fd->raw(), patience);
  if (!answer) return failure_in(socket_path, answer);
  boost::system::error_code wrong;
  const json::value parsed = json::parse(*answer, wrong);
  if (wrong || !parsed.is_object()) return failure(socket_path + ": the answer is not from limpid");
  const json::object& object = parsed.as_object();
  if (const json::value* refusal = object.if_contains("error"); refusal != nullptr && refusal->is_string())
    return failure(std::string(refusal->as_string()));
  const json::value* result = object.if_contains("result");
  if (result == nullptr) return failure(socket_path + ": the answer is not from limpid");
  return json::serialize(*result);
}

Result<Fd> listen_for_requests(const std::string& socket_path) {
  const Result<sockaddr_un> address = path_address(socket_path);
  if (!address) return std::unexpected(address.error());
  if (const Result<Fd> other = connect_to(socket_path); other)
    return failure(
        fmt::format("control socket {}: another limpid listens there: end it (limpid withdraw), or give this one "
                    "another with --socket",
                    socket_path));
  else if (other.error().code == ECONNREFUSED)
    if (Result<> removed = remove_dead_socket(socket_path); !removed) return std::unexpected(removed.error());
  Result<Fd> fd = unix_socket();
  if (!fd) return fd;
  // The mode is that of the directory entry from its first moment on (unix(7)).
  const mode_t before = ::umask(0177);
  const int bound = ::bind(fd->raw(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
  const int refusal = errno;
  ::umask(before);
  if (bound != 0) return errno_failure("control socket " + socket_path + ": bind", refusal);
  if (::listen(fd->raw(), 16) != 0) {
    const int listen_refusal = errno;
    ::unlink(socket_path.c_str());
    return errno_failure("control socket " + socket_path + ": listen", listen_refusal);
  }
  return fd;
}

std::string json_text(const std::string& text) { return json::serialize(json::value(text)); }

std::string answer_result(const std::string& json_text) { return "{\"result\":" + json_text + "}\n"; }

std::string answer_error(const std::string& message) {
  return json::serialize(json::object{{"error", message}}) + "\n";
}

}  // namespace limpid
