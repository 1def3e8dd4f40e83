// SPDX-License-Identifier: MIT
// Messages and descriptors between our own processes: a SOCK_SEQPACKET pair (unix(7)). What arrives from the worker is
// treated as hostile: a message of a wrong size is refused, a descriptor nobody asked for is closed.
#pragma once
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace limpid {

enum class MessageKind : std::uint32_t {
  // to the worker
  settings,          // WorkerSettings
  descriptors,       // a few of those that WorkerSettings announces, in order
  policy,            // PathSettings, and a policy file (policy_file.h): from now on these
  probe,             // ProbeOrder
  enforce,           // end what the policy would not have let go where it goes
  report,            // its number: send a heartbeat that bears it
  flows_taken,       // FlowAccount, several: the kernel has these UDP flows now, account for them
  flows_refused,     // likewise: it has not
  flows_given_back,  // likewise: they are the worker's again, with what they have carried
  end,               // reset all sessions, say goodbye, exit
  // from the worker
  ready,        // listens and will accept
  heartbeat,    // Heartbeat
  hand_over,    // Flow, several: the kernel may have them
  handed_over,  // FlowAccount, several: what the worker has carried of flows that the kernel has
  upstreams,    // MemberReport, several: before the heartbeat that answers a `report`
  // to the watcher
  orders,      // WatcherOrders
  worker,      // the pidfd of a new worker
  keep_guard,  // limpid has been ready: should it die, without_us = "closed" holds
  stand_down,  // the supervisor has withdrawn everything itself
};

struct Message {
  MessageKind kind;
  std::string body;
  std::vector<Fd> fds;

  // The body as a value; an Error if it has another size.
  template <class T>
    requires std::is_trivially_copyable_v<T>
  [[nodiscard]] Result<T> as() const {
    if (body.size() != sizeof(T))
      return failure(fmt::format("a message of kind {} has {} bytes instead of {}", static_cast<unsigned>(kind),
                                 body.size(), sizeof(T)));
    T value;
    std::memcpy(&value, body.data(), sizeof value);
    return value;
  }
  // The body as several values.
  template <class T>
    requires std::is_trivially_copyable_v<T>
  [[nodiscard]] Result<std::vector<T>> as_list() const {
    if (body.size() % sizeof(T) != 0)
      return failure(fmt::format("a message of kind {} has {} bytes, which are no list of {}",
                                 static_cast<unsigned>(kind), body.size(), sizeof(T)));
    std::vector<T> values(body.size() / sizeof(T));
    std::memcpy(values.data(), body.data(), body.size());
    return values;
  }
};

// Several values as a message's body.
template <class T>
[[nodiscard]] std::string_view body_of(std::span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

class Channel {
 public:
  static constexpr std::size_t most_fds = 250;     // a message's; the kernel's limit is 253 (SCM_MAX_FD)
  static constexpr std::size_t most_bytes = 4096;  // a message's body

  // Both ends, close-on-exec.
  [[nodiscard]] static Result<std::pair<Channel, Channel>> create_pair();
  explicit Channel(Fd fd) : fd_(std::move(fd)) {}

  // A peer that does not read is an error (EAGAIN). Descriptors may have to wait, 2 s at the most, until others of
  // this user have arrived.
  [[nodiscard]] Result<> send(MessageKind kind, std::string_view body = {}, std::span<const int> fds = {}) const;
  template <class T>
    requires std::is_trivially_copyable_v<T>
  [[nodiscard]] Result<> send_value(MessageKind kind, const T& value, std::span<const int> fds = {}) const {
    return send(kind, {reinterpret_cast<const char*>(&value), sizeof value}, fds);
  }

  // nothing: no message yet. An error with code 0: the other end is gone, or what came is no message of ours.
  [[nodiscard]] Result<std::optional<Message>> receive() const;
  // Waits; for the processes that have nothing else to do at that moment. -1: for ever.
  [[nodiscard]] Result<Message> wait(int milliseconds) const;

  [[nodiscard]] int fd() const { return fd_.raw(); }
  [[nodiscard]] Fd release() { return std::move(fd_); }

 private:
  Fd fd_;
};

}  // namespace limpid
