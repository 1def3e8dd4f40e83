// SPDX-License-Identifier: MIT
#include "proxy/upstream_connection.h"

#include <sys/socket.h>

#include <cerrno>

#include "net/socket.h"
#include "proxy/connect.h"

namespace limpid {
namespace {

UpstreamConnection::State state_after(int error) {
  return is_our_own(error) ? UpstreamConnection::State::failed : UpstreamConnection::State::down;
}

}  // namespace

UpstreamConnection::State UpstreamConnection::open(const Endpoint& to, Mark mark, std::optional<Socks5> handshake) {
  close();
  handshake_ = std::move(handshake);
  std::expected<Fd, int> opened = upstream_socket(to.family(), mark);
  if (!opened) return state_ = State::failed;
  const int started = start_connect(opened->raw(), to);
  if (started != 0 && started != EINPROGRESS) return state_ = state_after(started);
  if (reactor_.watch(opened->raw(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, *this) != 0)
    return state_ = State::failed;
  fd_ = std::move(*opened);
  return state_ = State::connecting;
}

void UpstreamConnection::close() {
  if (state_ == State::open)
    close_in_order(std::move(fd_));
  else
    fd_.close();
  unsent_ = {};
  hung_up_ = false;
  state_ = State::closed;
}

void UpstreamConnection::on_events(std::uint32_t events) {
  if (!fd_.is_open()) return;  // it was closed in this turn
  hung_up_ |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  State next = state_;
  if (state_ == State::open)
    next = hung_up_ ? State::down : State::open;
  else if (state_ == State::connecting)
    next = connected(events);
  else if (state_ == State::greeting)
    next = shake_hands();
  if (next == state_) return;
  state_ = next;
  if (is_under_way()) return;
  if (state_ != State::open) fd_.close();
  told_();
}

UpstreamConnection::State UpstreamConnection::connected(std::uint32_t events) {
  if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) return State::connecting;
  if (const int error = pending_error(fd_.raw())) return state_after(error);
  if (!handshake_) return State::open;
  unsent_ = handshake_->to_send();
  return shake_hands();
}

bool UpstreamConnection::say(int& error) {
  while (!unsent_.empty()) {
    const ssize_t n = ::send(fd_.raw(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (n > 0)
      unsent_ = unsent_.subspan(static_cast<std::size_t>(n));
    else if (errno == EAGAIN)
      return false;
    else if (errno != EINTR) {
      error = errno;
      return false;
    }
  }
  return true;
}

// Takes the handshake's bytes off the socket and not one more, as for a session (connect_through.cc).
UpstreamConnection::State UpstreamConnection::shake_hands() {
  for (;;) {
    int error = 0;
    if (!say(error)) return error == 0 ? State::greeting : State::down;
    std::array<std::uint8_t, 512> bytes;  // more than the longest message
    const ssize_t n = ::recv(fd_.raw(), bytes.data(), bytes.size(), MSG_PEEK);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return State::greeting;
    if (n <= 0) return State::down;
    const Step step = handshake_->take(Bytes(bytes).first(static_cast<std::size_t>(n)));
    if (step.next == Step::Next::refused)
      return step.refusal.kind == Refusal::Kind::protocol_error ? State::down : State::refused;
    // MSG_TRUNC: they are not wanted a second time (tcp(7)).
    if (step.consumed > 0) (void)::recv(fd_.raw(), nullptr, step.consumed, MSG_TRUNC);
    if (step.next == Step::Next::done) return State::open;
    if (step.next == Step::Next::send) unsent_ = handshake_->to_send();
  }
}

std::optional<Credentials> credentials_of(const Upstream& upstream) {
  if (upstream.username.empty()) return std::nullopt;
  return Credentials{upstream.username, upstream.password};
}

}  // namespace limpid
