// SPDX-License-Identifier: MIT
#include "proxy/association.h"

#include <sys/socket.h>

#include <cerrno>

#include "net/socket.h"
#include "proxy/connect.h"
#include "proxy/worker.h"

namespace limpid {
namespace {

// How soon a proxy is missed that has gone without a word.
constexpr KeepAlive keep_alive{.idle = std::chrono::seconds(30), .interval = std::chrono::seconds(10), .probes = 3};
// Datagrams come faster than connections: so long they share the fate of the one that was refused.
constexpr std::chrono::seconds refused_for{1};

}  // namespace

Association::Association(const Parts& parts, const Flow& ends, std::shared_ptr<const PathPolicy> policy,
                         std::uint32_t upstream, std::string_view host)
    : parts_(parts),
      ends_(ends),
      policy_(std::move(policy)),
      place_(upstream),
      connection_(parts.worker.reactor(), [this] { on_connection(); }),
      held_(parts.held_in_all) {
  if (this->upstream().type != UpstreamType::socks5) return;
  if (this->upstream().send == Send::host && is_host_name(host)) host_ = host;
  Result<std::vector<std::uint8_t>> header = socks5_udp_header({ends.destination, host_});
  CHECK(header.has_value());
  header_ = *std::move(header);
}

Association::~Association() { release_place(); }

void Association::release_place() {
  if (std::exchange(has_place_, false)) parts_.worker.release_session();
}

std::optional<Association::Refused> Association::refused() const {
  return state_ == State::refused ? std::optional(refused_) : std::nullopt;
}

void Association::become(State state) {
  state_ = state;
  if (state != State::opening) unlink();  // no attempt is under way
  parts_.owner.on_change(*this);
}

// ---- opening

void Association::start() {
  tried_.clear();
  was_refused_ = false;
  has_place_ = parts_.worker.reserve_session();
  if (!has_place_) was_refused_ = true;  // by ourselves; when_down is not about that
  state_ = State::opening;
  try_next();
}

void Association::try_next() {
  // Whether a fixed address answers datagrams, no health check has asked.
  const auto down = upstream().type == UpstreamType::fixed ? PathPolicy::Down::last : PathPolicy::Down::never;
  while (has_place_) {
    const std::shared_ptr<Member> member =
        policy_->choose(place_, ends_.client.address, tried_, parts_.worker.reactor().now(), down);
    if (!member) break;
    tried_.push_back(member);
    use_ = MemberUse(member);
    if (try_address(member->address)) return;
  }
  give_up();
}

bool Association::try_address(const Endpoint& address) {
  const PathSettings& settings = parts_.worker.settings();
  if (upstream().type == UpstreamType::fixed) {
    const int error = open_socket(address, std::nullopt);
    if (error == 0) become(State::open);
    was_refused_ |= is_our_own(error);
    return error == 0;
  }
  // RFC 1928, section 4: zeros for who does not know what the proxy will see; there may be address translation between.
  Result<Socks5> socks5 = Socks5::udp_associate({Address::any(address.family()), 0}, credentials_of(upstream()));
  CHECK(socks5.has_value());
  parts_.deadlines.of(std::min(upstream().connect_timeout, settings.connect_timeout))
      .arm(*this, parts_.worker.reactor().now());
  connection_.open(address, settings.own_mark, *std::move(socks5));
  if (connection_.is_under_way()) return true;
  count_out(*tried_.back(), connection_.state());
  return false;
}

void Association::on_connection() {
  const UpstreamConnection::State now = connection_.state();
  if (state_ == State::open) return become(State::ended);
  if (state_ != State::opening) return;
  Member& member = *tried_.back();
  if (now == UpstreamConnection::State::open && connection_.is_hung_up()) {
    count_out(member, UpstreamConnection::State::down);
  } else if (now == UpstreamConnection::State::open) {
    const std::optional<Endpoint> relay = socks5_relay(connection_.handshake()->bound(), member.address);
    const Result<Endpoint> here = local_endpoint(connection_.fd());
    if (relay && here && open_socket(*relay, *here) == 0) {
      keep_asking(connection_.fd(), keep_alive);
      member.restore();
      return become(State::open);
    }
    was_refused_ = true;  // it is there, if we cannot use what it offers
    connection_.close();
  } else {
    count_out(member, now);
  }
  try_next();
}

void Association::expire() {
  if (state_ != State::opening) return;
  connection_.close();
  count_out(*tried_.back(), UpstreamConnection::State::down);
  try_next();
}

// An attempt has come to nothing.
void Association::count_out(Member& member, UpstreamConnection::State state) {
  if (state == UpstreamConnection::State::down)
    member.eject(parts_.worker.reactor().now() + upstream().check_interval);
  else
    was_refused_ = true;
}

int Association::open_socket(const Endpoint& relay, std::optional<Endpoint> from) {
  std::expected<Fd, int> fd = datagram_socket(relay.family(), parts_.worker.settings().own_mark);
  if (!fd) return fd.error();
  // The proxy hears datagrams from where the connection comes from (RFC 1928, section 7).
  if (from && from->family() == relay.family())
    if (const int refusal = bind_to(fd->raw(), {from->address, 0})) return refusal;
  if (const int refusal = start_connect(fd->raw(), relay)) return refusal;
  if (const int refusal = parts_.worker.reactor().watch(fd->raw(), EPOLLIN, socket_)) return refusal;
  socket_.fd = std::move(*fd);
  return 0;
}

void Association::give_up() {
  use_ = MemberUse();
  release_place();
  const Reactor::Clock::time_point now = parts_.worker.reactor().now();
  again_ = now + refused_for;
  refused_ = Refused::rejected;
  if (!was_refused_ && !policy_->is_there(place_, now)) {
    if (upstream().when_down == WhenDown::drop) refused_ = Refused::dropped;
    if (upstream().when_down == WhenDown::direct) refused_ = Refused::direct;
  }
  become(State::refused);
}

// ---- carrying

bool Association::send(const Datagram& datagram) {
  if (state_ == State::idle || (state_ == State::refused && parts_.worker.reactor().now() >= again_)) start();
  if (state_ == State::opening) return held_.hold(datagram);
  if (state_ != State::open) return true;
  std::span<const char> rest = datagram.payload;
  const std::size_t most = datagram.segment == 0 ? rest.size() : datagram.segment;
  do {
    const std::span<const char> payload = rest.first(std::min(most, rest.size()));
    rest = rest.subspan(payload.size());
    send_one(payload);
  } while (!rest.empty());
  return true;
}

void Association::send_one(std::span<const char> payload) {
  std::array<iovec, 2> pieces = {
      {{header_.data(), header_.size()}, {const_cast<char*>(payload.data()), payload.size()}}};
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  // The first refusal may be about an earlier datagram (an ICMP error, udp(7)).
  for (int tries = 0; tries < 2; ++tries)
    if (::sendmsg(socket_.fd.raw(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return;
  parts_.worker.counters().send_refused.add(1);
}

Association::Received Association::receive(std::span<char> room, std::span<const char>& payload) {
  const ssize_t n = ::recv(socket_.fd.raw(), room.data(), room.size(), MSG_DONTWAIT);
  // An error is about a datagram of ours that has found nobody: the next one may.
  if (n < 0) return Received::nothing;
  const std::span<const char> datagram = room.first(static_cast<std::size_t>(n));
  payload = datagram;
  if (upstream().type == UpstreamType::fixed) return Received::answer;
  const std::optional<Socks5Datagram> read =
      parse_socks5_datagram({reinterpret_cast<const std::uint8_t*>(datagram.data()), datagram.size()});
  if (!read || !is_from_destination(*read)) return Received::other;
  payload = datagram.last(read->payload.size());
  return Received::answer;
}

// As for a flow that is relayed: an answer comes from where the client has asked. Of a name the proxy alone knows the
// address.
bool Association::is_from_destination(const Socks5Datagram& datagram) const {
  if (host_.empty()) return datagram.host.empty() && datagram.source == ends_.destination;
  return datagram.source.port == ends_.destination.port && (datagram.host.empty() || datagram.host == host_);
}

}  // namespace limpid
