// SPDX-License-Identifier: MIT
// The two ends of the demonstration: a small HTTP server that tells each client what it saw of it, and a client.
#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "net/address.h"
#include "net/lab.h"

namespace limpid {

// Answers "/" with two lines, the client's and its own address and port as this end sees them, and "/endless" with
// bytes that never end. Serves on a thread of its own until destroyed.
class DemoServer {
 public:
  [[nodiscard]] static Result<std::unique_ptr<DemoServer>> start(const NetworkNamespace& where,
                                                                 const std::vector<Endpoint>& at);
  ~DemoServer();
  DemoServer(const DemoServer&) = delete;
  DemoServer& operator=(const DemoServer&) = delete;

 private:
  DemoServer() = default;
  Result<> listen(const Endpoint& at);

  boost::asio::io_context io_;
  std::vector<boost::asio::ip::tcp::acceptor> acceptors_;
  std::thread thread_;
};

// One connection as its two ends saw it: address and port each.
struct Seen {
  std::string client;
  std::string server;
  bool operator==(const Seen&) const = default;
};
struct Exchange {
  Seen by_client;
  Seen by_server;
  std::chrono::microseconds took{};  // from the first SYN to the end of the answer
};
[[nodiscard]] Result<Exchange> fetch(const NetworkNamespace& from, const Endpoint& server,
                                     std::chrono::milliseconds patience);

struct Download {
  std::uint64_t bytes = 0;
  std::string end;  // what the client was told when it ended
  bool was_reset = false;
};
// Downloads what never ends, calls `at_size` once when so many bytes have come, and goes on until the connection ends.
[[nodiscard]] Result<Download> download(const NetworkNamespace& from, const Endpoint& server, std::uint64_t size,
                                        const std::function<void()>& at_size, std::chrono::milliseconds patience);

}  // namespace limpid
