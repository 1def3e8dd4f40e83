// SPDX-License-Identifier: MIT
// Sessions over real sockets of this machine: the test plays the client and the destination, a worker runs in between.
#include "proxy/session.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <functional>
#include <random>
#include <thread>

#include "net/fresh_namespace.h"
#include "proxy/worker.h"

namespace limpid {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Mark own{0x40000000, 0x40000000};

class Sessions : public FreshNamespace {
 protected:
  static PathSettings settings() {
    return {.own_mark = own,
            .source = Source::self,
            .sessions_max = 100,
            .connect_timeout = seconds(5),
            .idle_timeout = seconds(60),
            .half_closed_timeout = seconds(60)};
  }

  struct Pair {
    Fd client;  // the test's end
    Fd server;  // likewise, of the destination; none if nobody accepts
  };

  // A session from `client` to a destination of the test's own. Worker::run() has not begun.
  Pair open_session(Worker& worker) {
    const Fd front = *listen_transparent({Address::loopback(AF_INET), 0}, own);
    const Fd back = *listen_transparent({Address::loopback(AF_INET), 0}, own);
    Pair pair{connect_blocking(*local_endpoint(front.raw())), {}};
    Accepted accepted = accept(front);
    accepted.destination = *local_endpoint(back.raw());
    EXPECT_TRUE(worker.reserve_session());
    start_session(worker, std::move(accepted), std::nullopt);
    pair.server = std::move(accept(back).fd);
    make_blocking(pair.server);
    const linger orderly{};  // a socket of listen_transparent() would close with a reset
    EXPECT_EQ(setsockopt(pair.server.raw(), SOL_SOCKET, SO_LINGER, &orderly, sizeof orderly), 0);
    return pair;
  }

  // One that goes nowhere. The test's end.
  Fd open_unserved_session(Worker& worker) {
    const Fd front = *listen_transparent({Address::loopback(AF_INET), 0}, own);
    Fd client = connect_blocking(*local_endpoint(front.raw()));
    EXPECT_TRUE(worker.reserve_session());
    start_session(worker, accept(front), std::nullopt);
    return client;
  }

  static Fd connect_blocking(const Endpoint& to) {
    Fd fd(socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(start_connect(fd.raw(), to), 0);
    make_blocking(fd);
    return fd;
  }
  static void make_blocking(const Fd& fd) {
    const int flags = fcntl(fd.raw(), F_GETFL);
    EXPECT_EQ(fcntl(fd.raw(), F_SETFL, flags & ~O_NONBLOCK), 0);
    const timeval deadline{.tv_sec = 20, .tv_usec = 0};
    EXPECT_EQ(setsockopt(fd.raw(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline), 0);
    EXPECT_EQ(setsockopt(fd.raw(), SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline), 0);
  }
  static Accepted accept(const Fd& listener) {
    pollfd waiting{listener.raw(), POLLIN, 0};
    EXPECT_EQ(poll(&waiting, 1, 5000), 1);
    std::expected<Accepted, int> accepted = accept_client(listener.raw());
    EXPECT_TRUE(accepted);
    return std::move(*accepted);
  }

  static std::string read_all(const Fd& fd) {
    std::string all;
    char buffer[65536];
    while (const ssize_t n = recv(fd.raw(), buffer, sizeof buffer, 0)) {
      if (n < 0) {
        ADD_FAILURE() << strerror(errno);
        break;
      }
      all.append(buffer, static_cast<std::size_t>(n));
    }
    return all;
  }
  static void write_all(const Fd& fd, std::string_view data) {
    while (!data.empty()) {
      const ssize_t n = send(fd.raw(), data.data(), data.size(), MSG_NOSIGNAL);
      ASSERT_GT(n, 0) << strerror(errno);
      data.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  static std::string noise(std::size_t size) {
    std::mt19937_64 random(size);
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    return bytes;
  }
  static int read_error(const Fd& fd) {
    char byte;
    return recv(fd.raw(), &byte, 1, 0) < 0 ? errno : 0;
  }
  static void send_reset(Fd fd) {
    const linger now{1, 0};
    EXPECT_EQ(setsockopt(fd.raw(), SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
  }

  // Runs the worker beside the test until this goes out of scope.
  class Running {
   public:
    Running(Worker& worker, PathState& state) : worker_(worker), state_(state), thread_([&worker] { worker.run(); }) {}
    ~Running() {
      state_.ending = true;
      worker_.wake();
    }
    // Until so many sessions have ended for that reason, or 20 s.
    bool has_closed(CloseReason reason, std::uint64_t count = 1) const {
      const Counters& counters = std::as_const(worker_).counters();
      return eventually([&] { return counters.closed[static_cast<std::size_t>(reason)].value() >= count; });
    }
    // Likewise: a session is accounted for first, then gives its place back.
    bool has_free_places(std::int64_t count) const {
      return eventually([&] { return state_.sessions_free == count; });
    }

   private:
    static bool eventually(const std::function<bool()>& condition) {
      const auto until = std::chrono::steady_clock::now() + seconds(20);
      while (!condition()) {
        if (std::chrono::steady_clock::now() > until) return false;
        std::this_thread::yield();
      }
      return true;
    }

    Worker& worker_;
    PathState& state_;
    std::jthread thread_;
  };

  std::unique_ptr<Worker> make(const PathSettings& path, std::vector<Pipe> pipes = {}) {
    state_.sessions_free = path.sessions_max;
    Result<std::unique_ptr<Worker>> worker =
        Worker::create(path, state_, {.listeners = {}, .pipes = std::move(pipes), .access_log = {}});
    EXPECT_TRUE(worker);
    return std::move(*worker);
  }
  static std::vector<Pipe> pipes(int count) {
    std::vector<Pipe> made;
    for (int i = 0; i < count; ++i) {
      int ends[2];
      EXPECT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
      made.push_back({Fd(ends[0]), Fd(ends[1])});
    }
    return made;
  }

  PathState state_;
};

TEST_F(Sessions, CarryBytesBothWaysAndFinishInOrder) {
  const std::unique_ptr<Worker> worker = make(settings());
  Pair pair = open_session(*worker);
  const Running running(*worker, state_);
  write_all(pair.client, "question");
  shutdown(pair.client.raw(), SHUT_WR);
  EXPECT_EQ(read_all(pair.server), "question");
  write_all(pair.server, "answer");
  pair.server.close();
  EXPECT_EQ(read_all(pair.client), "answer");
  EXPECT_TRUE(running.has_closed(CloseReason::done));
  EXPECT_TRUE(running.has_free_places(settings().sessions_max));
}

// With and without pipes: splice(2) and copying must both carry every byte.
class Bulk : public Sessions, public ::testing::WithParamInterface<int> {};

TEST_P(Bulk, ArrivesWholeInBothDirectionsAtOnce) {
  const std::unique_ptr<Worker> worker = make(settings(), pipes(GetParam()));
  const Pair pair = open_session(*worker);
  const Running running(*worker, state_);
  const std::string up = noise(20'000'001), down = noise(30'000'003);
  std::jthread client_writes([&] { write_all(pair.client, up), shutdown(pair.client.raw(), SHUT_WR); });
  std::jthread server_writes([&] { write_all(pair.server, down), shutdown(pair.server.raw(), SHUT_WR); });
  std::string seen_up;
  std::jthread server_reads([&] { seen_up = read_all(pair.server); });
  EXPECT_TRUE(read_all(pair.client) == down);
  server_reads.join();
  EXPECT_TRUE(seen_up == up);
  EXPECT_TRUE(running.has_closed(CloseReason::done));
  EXPECT_EQ(std::as_const(*worker).counters().values().bytes_up, up.size());
  EXPECT_EQ(std::as_const(*worker).counters().values().bytes_down, down.size());
}
INSTANTIATE_TEST_SUITE_P(ThroughPipes, Bulk, ::testing::Values(0, 1, 2));

// What a rule without conditions makes of every session.
std::shared_ptr<const PathPolicy> policy_of(std::string_view action) {
  PolicySource source;
  source.rules.emplace_back().action = action;
  return std::make_shared<const PathPolicy>(std::move(source), HashSeed{}, nullptr);
}

TEST_F(Sessions, OfARejectingRuleAreReset) {
  const std::unique_ptr<Worker> worker = make(settings());
  worker->adopt(settings(), policy_of(action_reject));
  const Fd client = open_unserved_session(*worker);
  const Running running(*worker, state_);
  EXPECT_TRUE(running.has_closed(CloseReason::rejected));
  EXPECT_EQ(read_error(client), ECONNRESET);
}

TEST_F(Sessions, OfADroppingRuleHearNothingUntilTheirClientGoes) {
  const std::unique_ptr<Worker> worker = make(settings());
  worker->adopt(settings(), policy_of(action_drop));
  Fd client = open_unserved_session(*worker);
  const Running running(*worker, state_);
  write_all(client, "hello?");
  client.close();
  EXPECT_TRUE(running.has_closed(CloseReason::dropped));
  EXPECT_TRUE(running.has_free_places(settings().sessions_max));
}

TEST_F(Sessions, OfADroppingRuleAreGivenUpInTime) {
  const std::unique_ptr<Worker> worker =
      make({.own_mark = own, .sessions_max = 100, .connect_timeout = milliseconds(50)});
  worker->adopt(worker->settings(), policy_of(action_drop));
  const Fd client = open_unserved_session(*worker);
  const Running running(*worker, state_);
  EXPECT_TRUE(running.has_closed(CloseReason::dropped));
}

TEST_F(Sessions, GoOnForAsLongAsOneDirectionTakes) {
  const std::unique_ptr<Worker> worker = make(settings());
  const Pair pair = open_session(*worker);
  const Running running(*worker, state_);
  shutdown(pair.server.raw(), SHUT_WR);
  EXPECT_EQ(read_all(pair.client), "");
  const std::string late = noise(1 << 20);
  std::jthread writes([&] { write_all(pair.client, late), shutdown(pair.client.raw(), SHUT_WR); });
  EXPECT_TRUE(read_all(pair.server) == late);
  EXPECT_TRUE(running.has_closed(CloseReason::done));
}

TEST_F(Sessions, MirrorAResetOfEitherEnd) {
  const std::unique_ptr<Worker> worker = make(settings());
  Pair first = open_session(*worker), second = open_session(*worker);
  const Running running(*worker, state_);
  send_reset(std::move(first.client));
  EXPECT_EQ(read_error(first.server), ECONNRESET);
  EXPECT_TRUE(running.has_closed(CloseReason::client_reset));
  send_reset(std::move(second.server));
  EXPECT_EQ(read_error(second.client), ECONNRESET);
  EXPECT_TRUE(running.has_closed(CloseReason::upstream_reset));
}

TEST_F(Sessions, NoticeAResetOfAnEndThatHasSaidItsLast) {
  const std::unique_ptr<Worker> worker = make(settings());
  Pair pair = open_session(*worker);
  const Running running(*worker, state_);
  shutdown(pair.client.raw(), SHUT_WR);
  EXPECT_EQ(read_all(pair.server), "");
  send_reset(std::move(pair.client));
  EXPECT_TRUE(running.has_closed(CloseReason::client_reset));
  // recv(2) goes on saying "end of file" here, and the kernel calls a reset in CLOSE_WAIT a broken pipe.
  pollfd waiting{pair.server.raw(), 0, 0};
  ASSERT_EQ(poll(&waiting, 1, 5000), 1);
  EXPECT_EQ(pending_error(pair.server.raw()), EPIPE);
}

TEST_F(Sessions, CarryUrgentBytesInTheirPlace) {
  const std::unique_ptr<Worker> worker = make(settings(), pipes(2));
  const Pair pair = open_session(*worker);
  const Running running(*worker, state_);
  const std::string before = noise(3'000'000), after = noise(3'000'001);
  std::jthread writes([&] {
    write_all(pair.client, before);
    ASSERT_EQ(send(pair.client.raw(), "!", 1, MSG_OOB), 1);
    write_all(pair.client, after);
    shutdown(pair.client.raw(), SHUT_WR);
  });
  EXPECT_TRUE(read_all(pair.server) == before + "!" + after);
}

TEST_F(Sessions, EndWhenNothingMoves) {
  PathSettings path = settings();
  path.idle_timeout = milliseconds(100);
  path.half_closed_timeout = milliseconds(50);
  const std::unique_ptr<Worker> worker = make(path);
  const Pair idle = open_session(*worker), half_closed = open_session(*worker);
  shutdown(half_closed.client.raw(), SHUT_WR);
  const Running running(*worker, state_);
  EXPECT_TRUE(running.has_closed(CloseReason::idle_timeout));
  EXPECT_TRUE(running.has_closed(CloseReason::half_closed_timeout));
  EXPECT_EQ(read_error(idle.client), ECONNRESET);
  EXPECT_EQ(read_error(half_closed.client), ECONNRESET);
}

TEST_F(Sessions, AreResetWhenTheWorkerEnds) {
  const std::unique_ptr<Worker> worker = make(settings());
  const Pair pair = open_session(*worker);
  {
    const Running running(*worker, state_);
  }
  EXPECT_EQ(read_error(pair.client), ECONNRESET);
  EXPECT_EQ(read_error(pair.server), ECONNRESET);
  EXPECT_EQ(std::as_const(*worker).counters().values().closed[static_cast<std::size_t>(CloseReason::withdrawn)], 1U);
}

TEST_F(Sessions, HoldBackAWriterWhoseReaderIsSlow) {
  const std::unique_ptr<Worker> worker = make(settings(), pipes(2));
  const Pair pair = open_session(*worker);
  const Running running(*worker, state_);
  // Nobody reads: what fits is the sockets' buffers and one pipe, far below this.
  const timeval soon{.tv_sec = 0, .tv_usec = 300'000};
  ASSERT_EQ(setsockopt(pair.client.raw(), SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon), 0);
  const std::string chunk = noise(1 << 20);
  std::size_t sent = 0;
  while (sent < (256U << 20)) {
    const ssize_t n = send(pair.client.raw(), chunk.data(), chunk.size(), MSG_NOSIGNAL);
    if (n < 0) break;
    sent += static_cast<std::size_t>(n);
  }
  EXPECT_LT(sent, 64U << 20);
  EXPECT_LE(std::as_const(*worker).counters().values().bytes_up, sent);
}

TEST_F(Sessions, TellARefusedDestination) {
  const std::unique_ptr<Worker> worker = make(settings());
  const Fd front = *listen_transparent({Address::loopback(AF_INET), 0}, own);
  const Fd client = connect_blocking(*local_endpoint(front.raw()));
  Accepted accepted = accept(front);
  accepted.destination = {Address::loopback(AF_INET), 1};
  ASSERT_TRUE(worker->reserve_session());
  start_session(*worker, std::move(accepted), std::nullopt);
  const Running running(*worker, state_);
  EXPECT_TRUE(running.has_closed(CloseReason::connect_refused));
  EXPECT_EQ(read_error(client), ECONNRESET);
}

// The client is a socket of this machine, so its 4-tuple is in use: the first step of the ladder fails.
TEST_F(Sessions, FallBackToTheAddressWhenThePortIsTaken) {
  PathSettings path = settings();
  path.source = Source::client;
  const std::unique_ptr<Worker> worker = make(path);
  const Pair pair = open_session(*worker);
  const Running running(*worker, state_);
  const CounterValues values = std::as_const(*worker).counters().values();
  EXPECT_EQ(values.port_unavailable, 1U);
  shutdown(pair.client.raw(), SHUT_WR);
  EXPECT_EQ(read_all(pair.server), "");
  EXPECT_EQ(std::as_const(*worker).counters().values().source_address_kept, 1U);
}

TEST_F(Sessions, RefuseWhenThePortIsTakenAndRequired) {
  PathSettings path = settings();
  path.source = Source::client;
  path.require_port = true;
  const std::unique_ptr<Worker> worker = make(path);
  const Fd front = *listen_transparent({Address::loopback(AF_INET), 0}, own);
  const Fd client = connect_blocking(*local_endpoint(front.raw()));
  ASSERT_TRUE(worker->reserve_session());
  start_session(*worker, accept(front), std::nullopt);
  const Running running(*worker, state_);
  EXPECT_TRUE(running.has_closed(CloseReason::source_unavailable));
  EXPECT_EQ(read_error(client), ECONNRESET);
}

TEST_F(Sessions, OfTheListenerItselfAreLoops) {
  state_.sessions_free = 1;
  Fd listener = *listen_transparent({Address::loopback(AF_INET6), 0}, own);
  const Endpoint endpoint = *local_endpoint(listener.raw());
  std::vector<Fd> listeners;
  listeners.push_back(std::move(listener));
  PathSettings path = settings();
  path.ports = {0, endpoint.port};
  const std::unique_ptr<Worker> worker =
      *Worker::create(path, state_, {.listeners = std::move(listeners), .pipes = {}, .access_log = {}});
  const Running running(*worker, state_);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    const Fd client = connect_blocking(endpoint);
    EXPECT_TRUE(running.has_closed(CloseReason::loop, i));
    EXPECT_EQ(read_error(client), ECONNRESET);
  }
  EXPECT_TRUE(running.has_free_places(1));
}

}  // namespace
}  // namespace limpid
