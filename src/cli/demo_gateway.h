// SPDX-License-Identifier: MIT
// `limpid run` as a child of the demonstration, inside the gateway's namespace. It dies when the demonstration does.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "net/lab.h"

namespace limpid {

class DemoGateway {
 public:
  // `command`: the program's path and its arguments. From the main thread (the child is killed when the thread that
  // started it ends) and before there is another (SIGCHLD is blocked, so that it can be waited for).
  [[nodiscard]] static Result<std::unique_ptr<DemoGateway>> start(const NetworkNamespace& where,
                                                                  const std::vector<std::string>& command);
  ~DemoGateway();  // kills what still runs
  DemoGateway(const DemoGateway&) = delete;
  DemoGateway& operator=(const DemoGateway&) = delete;

  // READY=1 on the socket that it was given (sd_notify(3)). Refused when the child dies first.
  [[nodiscard]] Result<> await_ready(std::chrono::milliseconds patience);
  // The next line of its standard output: the access log.
  [[nodiscard]] Result<std::string> next_line(std::chrono::milliseconds patience);
  // What it has said on its standard error so far.
  [[nodiscard]] std::string messages() const;

  void kill_supervisor();
  // Waits until nothing of it runs any more: not the supervisor, and not what the supervisor started.
  [[nodiscard]] Result<> await_end(std::chrono::milliseconds patience);

 private:
  DemoGateway() = default;

  pid_t pid_ = -1;
  Fd process_;  // a pidfd
  Fd notices_;  // NOTIFY_SOCKET's other end
  Fd output_;
  Fd messages_;          // a memory file
  Fd deaths_;            // SIGCHLD, as a descriptor
  std::string pending_;  // output that is not a whole line yet
};

}  // namespace limpid
