// SPDX-License-Identifier: MIT
// Where the access log goes. Whole lines only, whatever becomes of the worker that writes them. A sink that takes
// nothing holds up nobody but the log: the pipes fill, and the worker counts what it drops.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "daemon/waiting.h"

namespace limpid {

class AccessSink {
 public:
  // `where`: a path, "stdout" or "off".
  [[nodiscard]] static Result<AccessSink> open(boost::asio::io_context& io, std::string where);

  [[nodiscard]] bool is_on() const { return fd_.is_open(); }
  // A new pipe for a path thread: its write end. The lines are carried over until that is closed.
  [[nodiscard]] Result<Fd> add_pipe();
  // Opens the path anew, for log rotation; on a refusal the old file stays.
  [[nodiscard]] Result<> reopen();
  // Another place from now on; on a refusal the old one stays. Neither may be "off".
  [[nodiscard]] Result<> move_to(const std::string& where);
  // Returns when every pipe has been closed and emptied, or at `until`.
  boost::asio::awaitable<void> finish(Clock::time_point until);
  // The last refusal to write, empty if all went well.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  AccessSink(boost::asio::io_context& io, std::string where, Fd fd)
      : io_(&io), where_(std::move(where)), fd_(std::move(fd)), changed_(io) {}
  boost::asio::awaitable<void> carry(Fd pipe);
  boost::asio::awaitable<void> carry_all(const Fd& pipe);
  boost::asio::awaitable<void> write(std::string_view lines);
  boost::asio::awaitable<void> until_writable() const;

  boost::asio::io_context* io_;
  std::string where_;
  Fd fd_;
  std::string trouble_;
  bool writing_ = false;
  int carrying_ = 0;  // pipes
  Signal changed_;    // of the two
};

}  // namespace limpid
