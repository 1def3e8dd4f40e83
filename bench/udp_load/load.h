// SPDX-License-Identifier: MIT
// What the modes of the benchmark's UDP traffic share. A mode that cannot go on ends the process with a message.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/fd.h"

namespace limpid::udp_load {

using Clock = std::chrono::steady_clock;

constexpr size_t kBatch = 64;      // datagrams a system call
constexpr size_t kLargest = 1472;  // what an Ethernet frame holds
constexpr std::chrono::microseconds kNap{100};

enum class Kind : uint16_t { counted, question, answer };

// At the start of each datagram; what else there is of it is zero.
struct Header {
  uint64_t number = 0;  // within the flow
  uint32_t flow = 0;
  uint32_t size = 0;  // of the datagram
  in_addr_t client = 0;
  in_port_t client_port = 0;
  Kind kind = Kind::counted;
  bool operator==(const Header&) const = default;
};
static_assert(sizeof(Header) == 24);

// Buffers for sendmmsg() and recvmmsg(). The messages point to them and to no peer.
struct Batch {
  struct Datagram {
    alignas(Header) std::array<char, kLargest> bytes{};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in_pktinfo))> control{};
    sockaddr_in peer{};
    iovec part{};
    Header& header() { return *reinterpret_cast<Header*>(bytes.data()); }
  };
  std::vector<Datagram> datagrams = std::vector<Datagram>(kBatch);
  std::array<mmsghdr, kBatch> messages{};

  Batch();
};

// The words of the command line: name=value, all of them needed.
class Arguments {
 public:
  Arguments(int count, char** words);
  double number(const std::string& name) const;
  uint32_t whole(const std::string& name) const { return static_cast<uint32_t>(number(name)); }
  uint32_t address(const std::string& name) const;  // in the host's byte order

 private:
  const std::string& value(const std::string& name) const;
  std::map<std::string, std::string> values_;
};

[[noreturn]] void fail(const std::string& what);  // with errno
void say(const char* line);                       // to whoever started this, at once

sockaddr_in endpoint(uint32_t address, uint32_t port);
inline sockaddr* generic(sockaddr_in& address) { return reinterpret_cast<sockaddr*>(&address); }
Fd bound_socket(sockaddr_in at);
void set(const Fd& socket, int level, int option, int value);
bool is_readable_within(const Fd& socket, std::chrono::milliseconds time);

inline double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

void sink(const Arguments& arguments);
void blast(const Arguments& arguments);
void ask(const Arguments& arguments);

}  // namespace limpid::udp_load
