// SPDX-License-Identifier: MIT
#include "proxy/relay.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <span>

#include "proxy/dns_stream.h"
#include "proxy/session.h"
#include "proxy/worker.h"

namespace limpid {
namespace {

// Turns of a direction before others get theirs.
constexpr int turns_in_a_row = 16;
// A splice that moved less than this is no bulk any more.
constexpr ssize_t small_splice = 16 * 1024;
constexpr std::size_t pipe_size = 1 << 20;

enum class Went { on, to_the_end, wrong };

// Hears what a direction carries, before it goes on.
using Hear = std::function<void(std::span<const char>)>;

struct Direction {
  Session& session;
  Leg& from;
  Leg& to;
  std::uint64_t& bytes;
  Counter& counter;
  Hear hear{};  // none: nobody
  int full_reads = 0;
  bool bulk = false;

  void count(ssize_t n) {
    bytes += static_cast<std::uint64_t>(n);
    counter.add(static_cast<std::uint64_t>(n));
    session.touch();
  }
  // The call on this leg was refused: EAGAIN and EINTR have been sorted out before.
  Went failed(Leg& leg) {
    session.leg_failed(leg);
    return Went::wrong;
  }
};

bool try_again(ssize_t result) { return result < 0 && errno == EINTR; }
bool must_wait(ssize_t result) { return result < 0 && errno == EAGAIN; }

// Sends what the socket does not take at once; a copy of it waits here, for the worker's buffer is everybody's.
Task<Went> send_rest(Direction& direction, std::span<const char> rest) {
  const auto copy = std::make_unique_for_overwrite<char[]>(rest.size());
  std::ranges::copy(rest, copy.get());
  std::size_t sent = 0;
  while (sent < rest.size()) {
    const ssize_t n = ::send(direction.to.fd(), copy.get() + sent, rest.size() - sent, MSG_NOSIGNAL);
    if (n >= 0) {
      sent += static_cast<std::size_t>(n);
      direction.session.touch();
    } else if (must_wait(n)) {
      if (!co_await direction.to.writable()) co_return Went::wrong;
    } else if (!try_again(n)) {
      co_return direction.failed(direction.to);
    }
  }
  co_return Went::on;
}

// Empties the pipe into the socket.
Task<Went> drain_pipe(Direction& direction, Pipe& pipe, ssize_t in_pipe) {
  while (in_pipe > 0) {
    const ssize_t n = ::splice(pipe.read_end.raw(), nullptr, direction.to.fd(), nullptr,
                               static_cast<std::size_t>(in_pipe), SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n >= 0) {
      in_pipe -= n;
      direction.session.touch();
    } else if (must_wait(n)) {
      if (!co_await direction.to.writable()) co_return Went::wrong;
    } else if (!try_again(n)) {
      co_return direction.failed(direction.to);
    }
  }
  co_return Went::on;
}

// Empties the pipe of bytes that nobody wants any more.
void throw_away(const Pipe& pipe, std::span<char> buffer) {
  while (::read(pipe.read_end.raw(), buffer.data(), buffer.size()) > 0) continue;
}

// One turn through a pipe. Nothing to read: waits. No pipe to be had: the direction leaves bulk.
Task<Went> splice_turn(Direction& direction) {
  PipePool& pool = direction.session.worker.pipes();
  std::optional<Pipe> pipe = pool.borrow();
  if (!pipe) {
    direction.bulk = false;
    co_return Went::on;
  }
  const ssize_t n = ::splice(direction.from.fd(), nullptr, pipe->write_end.raw(), nullptr, pipe_size,
                             SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  const int error = errno;
  if (n > 0) {
    direction.count(n);
    const Went went = co_await drain_pipe(direction, *pipe, n);
    if (went == Went::wrong) throw_away(*pipe, direction.session.worker.buffer());
    pool.give_back(std::move(*pipe));
    if (n < small_splice) direction.bulk = false;
    co_return went;
  }
  pool.give_back(std::move(*pipe));
  if (n == 0) co_return Went::to_the_end;
  if (error == EAGAIN) co_return co_await direction.from.readable() ? Went::on : Went::wrong;
  if (error == EINTR) co_return Went::on;
  co_return direction.failed(direction.from);
}

// One turn through the worker's buffer.
Task<Went> copy_turn(Direction& direction) {
  const std::span<char> buffer = direction.session.worker.buffer();
  const ssize_t n = ::recv(direction.from.fd(), buffer.data(), buffer.size(), 0);
  if (n == 0) co_return Went::to_the_end;
  if (n < 0) {
    if (must_wait(n)) co_return co_await direction.from.readable() ? Went::on : Went::wrong;
    co_return try_again(n) ? Went::on : direction.failed(direction.from);
  }
  direction.count(n);
  const auto size = static_cast<std::size_t>(n);
  if (direction.hear) direction.hear(buffer.first(size));
  // A read that did not fill the buffer has emptied the socket, unless it stopped at the urgent mark. New bytes make a
  // new edge (epoll(7), "Questions and answers", Q9); where the far end's FIN is in already, there will be none.
  const bool drained = size < buffer.size() && !direction.from.is_urgent();
  const bool at_end = drained && direction.from.is_hung_up() && !direction.from.has_failed();
  // The last bytes and the end that follows them share a packet.
  const ssize_t sent = ::send(direction.to.fd(), buffer.data(), size, MSG_NOSIGNAL | (at_end ? MSG_MORE : 0));
  if (sent < 0 && !must_wait(sent) && !try_again(sent)) co_return direction.failed(direction.to);
  const std::size_t taken = sent < 0 ? 0 : static_cast<std::size_t>(sent);
  if (taken < size && co_await send_rest(direction, buffer.subspan(taken, size - taken)) != Went::on)
    co_return Went::wrong;
  if (at_end) co_return Went::to_the_end;
  direction.full_reads = size == buffer.size() ? direction.full_reads + 1 : 0;
  if (direction.full_reads >= 2 && !direction.hear) direction.bulk = true;
  if (drained && !direction.from.is_hung_up()) co_return co_await direction.from.readable() ? Went::on : Went::wrong;
  co_return Went::on;
}

Task<Went> move(Direction direction) {
  Session& session = direction.session;
  if (!co_await direction.from.readable()) co_return Went::wrong;
  for (int turn = 0;; ++turn) {
    if (session.ending()) co_return Went::wrong;
    if (turn % turns_in_a_row == turns_in_a_row - 1) co_await session.worker.reactor().yield();
    Went went = Went::on;
    if (direction.bulk && !direction.from.is_urgent())
      went = co_await splice_turn(direction);
    else
      went = co_await copy_turn(direction);
    if (went == Went::wrong) co_return went;
    if (went == Went::to_the_end) break;
  }
  // The second end is passed on by the orderly close(2) that follows.
  if (session.half_closed) co_return Went::to_the_end;
  if (::shutdown(direction.to.fd(), SHUT_WR) != 0) co_return direction.failed(direction.to);
  session.half_closed = true;
  session.touch();
  co_return Went::to_the_end;
}

}  // namespace

Task<CloseReason> relay(Session& session) {
  Worker& worker = session.worker;
  Counters& counters = worker.counters();
  Direction upward{session, session.client, session.upstream, session.record.bytes_up, counters.bytes_up};
  Direction downward{session, session.upstream, session.client, session.record.bytes_down, counters.bytes_down};
  const Flow flow{session.record.client, session.record.destination};
  if (DnsWatch* const watch = worker.dns_watch(flow.destination)) {
    upward.hear = [=, &worker, dns = DnsStream()](std::span<const char> bytes) mutable {
      dns.take(bytes, [&](Bytes message) { watch->see_query(flow, message, worker.reactor().now()); });
    };
    downward.hear = [=, &worker, dns = DnsStream()](std::span<const char> bytes) mutable {
      dns.take(bytes, [&](Bytes message) {
        watch->see_response(flow, message, worker.settings().verify_host_grace, worker.reactor().now());
      });
    };
  }
  Task<Went> up = move(std::move(upward)), down = move(std::move(downward));
  co_await both(up, down);
  co_return session.ending().value_or(CloseReason::done);
}

}  // namespace limpid
