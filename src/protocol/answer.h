// SPDX-License-Identifier: MIT
// The shape of a handshake with another proxy: bytes to send, bytes received, and what to do next. Pure: the caller
// owns the socket and the deadline. What was received is taken up to the last byte of the handshake and not beyond:
// what follows belongs to the stream behind it.
//
//   send_all(handshake.to_send());
//   for (;;) {
//     const Step step = handshake.take(peeked);   // recv(2) with MSG_PEEK, at most as much as one likes
//     read_exactly(step.consumed);
//     if (step.next == Step::Next::send) send_all(handshake.to_send());
//     else if (step.next != Step::Next::receive) break;
//   }
//
// A caller that would rather not peek reads at most `wanted` bytes at a time, or keeps what was not consumed.
#pragma once
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"

namespace limpid {

using Bytes = std::span<const std::uint8_t>;

// Why there will be no stream.
struct Refusal {
  enum class Kind : std::uint8_t {
    connect_refused,  // the destination answered the proxy with RST
    unreachable,      // the proxy has no way to the destination, or heard nothing from it
    not_allowed,      // the proxy's rules
    authentication,   // credentials are missing or wrong
    unsupported,      // the proxy cannot do what it was asked for
    failed,           // the proxy did not say why, or for a reason of its own
    protocol_error,   // what came is not the protocol at all
  };
  Kind kind = Kind::protocol_error;
  std::string reason;  // for the log; in our own words, never in the peer's

  bool operator==(const Refusal&) const = default;
};

// What a parser makes of the bytes of one message that have come so far. No byte behind the message changes it.
struct Answer {
  enum class Progress : std::uint8_t { need_more, done, refused };
  Progress progress;
  std::size_t size = 0;  // need_more: bytes missing at the least; done: of the message
  Refusal refusal;

  static Answer need_more(std::size_t missing) { return {Progress::need_more, missing, {}}; }
  static Answer done(std::size_t size) { return {Progress::done, size, {}}; }
  static Answer refuse(Refusal::Kind kind, std::string reason) {
    return {Progress::refused, 0, {kind, std::move(reason)}};
  }
};

// What the caller does next.
struct Step {
  enum class Next : std::uint8_t { send, receive, done, refused };
  Next next;
  std::size_t consumed = 0;  // of the bytes given to take(); all of them with `receive`
  std::size_t wanted = 0;    // with `receive`: at least this many more belong to the handshake
  Refusal refusal;           // with `refused`

  static Step refuse(Refusal refusal) { return {Next::refused, 0, 0, std::move(refusal)}; }
};

// to_send() is called at the start and after each `send`, take() neither before that nor after `done` or `refused`.
template <class T>
concept Handshake = requires(T handshake, Bytes received) {
  { handshake.to_send() } -> std::same_as<Bytes>;
  { handshake.take(received) } -> std::same_as<Step>;
};

// One message as far as it has come: keeps the pieces, so that a parser always sees it from its first byte.
class Received {
 public:
  // `limit`: the parser answers something other than need_more when it sees that many bytes.
  explicit Received(std::size_t limit) : limit_(limit) {}

  // `parse`: Bytes -> Answer. After `done` the next message begins.
  template <class Parse>
  Step take(Bytes received, const Parse& parse) {
    const std::size_t before = so_far_.size();
    const Bytes fitting = received.first(std::min(received.size(), limit_ - before));
    so_far_.insert(so_far_.end(), fitting.begin(), fitting.end());
    Answer answer = parse(Bytes(so_far_));
    if (answer.progress == Answer::Progress::refused) return Step::refuse(std::move(answer.refusal));
    if (answer.progress == Answer::Progress::need_more) {
      CHECK(answer.size > 0 && so_far_.size() < limit_);
      return {Step::Next::receive, received.size(), answer.size, {}};
    }
    CHECK(answer.size >= before && answer.size <= so_far_.size());
    so_far_.clear();
    return {Step::Next::done, answer.size - before, 0, {}};
  }

 private:
  std::size_t limit_;
  std::vector<std::uint8_t> so_far_;
};

}  // namespace limpid
