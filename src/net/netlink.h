// SPDX-License-Identifier: MIT
// A netlink socket for questions and answers (libnl-3), and one that only says that something has changed.
// Both are close-on-exec and stay in the network namespace of the thread that opened them.
#pragma once
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

struct nl_msg;
struct nl_sock;
struct nlmsghdr;

namespace limpid {

struct NetlinkFree {
  void operator()(nl_msg* message) const;
  void operator()(nl_sock* socket) const;
};
using NetlinkMessage = std::unique_ptr<nl_msg, NetlinkFree>;

// A request that starts with the protocol's own header; attributes are added with libnl's nla_put functions.
NetlinkMessage netlink_message(int type, int flags, const void* header, std::size_t size);

// One answer, a whole netlink message.
class NetlinkAnswer {
 public:
  explicit NetlinkAnswer(const nlmsghdr* message);
  [[nodiscard]] nlmsghdr* message() const;

 private:
  std::unique_ptr<std::byte[]> bytes_;
};

class Netlink {
 public:
  [[nodiscard]] static Result<Netlink> open(int protocol);

  // Sends a request, waits for its end and returns all answers; an interrupted dump is asked for again. `name` is what
  // the request is called in an error, whose code is the kernel's errno.
  [[nodiscard]] Result<std::vector<NetlinkAnswer>> ask(std::string_view name, const NetlinkMessage& request);

 private:
  explicit Netlink(std::unique_ptr<nl_sock, NetlinkFree> socket) : socket_(std::move(socket)) {}

  std::unique_ptr<nl_sock, NetlinkFree> socket_;
};

// Becomes readable when something of a kind changes.
class KernelEvents {
 public:
  [[nodiscard]] static Result<KernelEvents> network();   // links and fib rules (not routes: a router has too many)
  [[nodiscard]] static Result<KernelEvents> firewall();  // nftables

  [[nodiscard]] int fd() const { return fd_.raw(); }  // non-blocking; ours to close
  // Reads away what has come in. Whether anything had.
  bool drain();

 private:
  explicit KernelEvents(Fd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] static Result<KernelEvents> open(int protocol, std::initializer_list<unsigned int> groups);

  Fd fd_;
};

}  // namespace limpid
