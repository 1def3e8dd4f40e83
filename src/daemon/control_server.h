// SPDX-License-Identifier: MIT
// Answers on the control socket (api/control.h). Who may connect is the file's mode: root.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace limpid {

class ControlServer {
 public:
  // What a request is answered: JSON, or the refusal.
  using Answer = std::function<boost::asio::awaitable<Result<std::string>>(std::string request)>;

  [[nodiscard]] static Result<ControlServer> open(boost::asio::io_context& io, const std::string& socket_path,
                                                  Answer answer);
  ControlServer(ControlServer&&) = default;
  ~ControlServer();  // removes the socket

  boost::asio::awaitable<void> serve();

 private:
  ControlServer(boost::asio::io_context& io, std::string path, Fd fd, Answer answer)
      : io_(&io), path_(std::move(path)), fd_(std::move(fd)), answer_(std::move(answer)) {}
  boost::asio::awaitable<void> serve_one(Fd connection);

  boost::asio::io_context* io_;
  std::string path_;
  Fd fd_;
  Answer answer_;
};

}  // namespace limpid
