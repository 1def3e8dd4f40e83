// SPDX-License-Identifier: MIT
// A TCP connection to an upstream's address that is no session's: for health checks, and for what a SOCKS5 proxy does
// as long as the connection it was asked on stands. Connects, shakes hands if it is to, and sees when the other end
// goes; what that says after the handshake is not read.
#pragma once
#include <functional>
#include <optional>

#include "base/fd.h"
#include "policy/rule.h"
#include "protocol/socks5.h"
#include "proxy/reactor.h"

namespace limpid {

class UpstreamConnection final : public Pollable {
 public:
  enum class State : std::uint8_t {
    closed,
    connecting,
    greeting,  // the handshake is under way
    open,
    down,     // nobody there, or nobody who speaks the protocol, or no longer
    refused,  // by the other end, in words of the protocol
    failed,   // by our own kernel: it says nothing of the other end
  };

  // `told`: the state is another, and neither connecting nor greeting. Called while events are dispatched: what may be
  // done there is open() and close().
  UpstreamConnection(Reactor& reactor, std::function<void()> told) : reactor_(reactor), told_(std::move(told)) {}
  UpstreamConnection(const UpstreamConnection&) = delete;
  UpstreamConnection& operator=(const UpstreamConnection&) = delete;
  ~UpstreamConnection() { close(); }

  // Begins anew, with a marked socket; connecting, unless it is down or failed at once. How long it may take is the
  // caller's to say.
  State open(const Endpoint& to, Mark mark, std::optional<Socks5> handshake);
  // In order where it is open; else by a reset.
  void close();

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool is_under_way() const { return state_ == State::connecting || state_ == State::greeting; }
  // The other end has said its last, if only right behind the handshake.
  [[nodiscard]] bool is_hung_up() const { return hung_up_; }
  // While it is open:
  [[nodiscard]] int fd() const { return fd_.raw(); }
  [[nodiscard]] const std::optional<Socks5>& handshake() const { return handshake_; }

  void on_events(std::uint32_t events) override;

 private:
  State connected(std::uint32_t events);
  State shake_hands();
  // All of what there is to say has been said; false: not yet, or `error` is set.
  bool say(int& error);

  Reactor& reactor_;
  std::function<void()> told_;
  State state_ = State::closed;
  Fd fd_;
  std::optional<Socks5> handshake_;
  Bytes unsent_;  // of the handshake
  bool hung_up_ = false;
};

// What this upstream wants to be told; nothing: it is open to us.
[[nodiscard]] std::optional<Credentials> credentials_of(const Upstream& upstream);

}  // namespace limpid
