// SPDX-License-Identifier: MIT
#include "proxy/reactor.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include "proxy/task.h"

namespace limpid {
namespace {

using std::chrono::milliseconds;

Task<int> give(int value) { co_return value; }
Task<int> yielding(Reactor& reactor, std::vector<int>& order, int value) {
  order.push_back(value);
  co_await reactor.yield();
  order.push_back(value + 10);
  co_return value;
}
Detached run_pair(Task<int>& first, Task<int>& second, int& sum) {
  co_await both(first, second);
  sum = co_await give(1);
}

TEST(Task, PairsRunSideBySideAndEndTogether) {
  Reactor reactor = *Reactor::create();
  std::vector<int> order;
  int done = 0;
  Task<int> first = yielding(reactor, order, 1);
  Task<int> second = yielding(reactor, order, 2);
  run_pair(first, second, done);
  EXPECT_EQ(order, (std::vector{1, 2}));
  EXPECT_EQ(done, 0);
  reactor.turn(reactor.now());
  EXPECT_EQ(order, (std::vector{1, 2, 11, 12}));
  EXPECT_EQ(done, 1);
}

TEST(Task, PairsMayEndAtOnce) {
  int done = 0;
  Task<int> first = give(1);
  Task<int> second = give(2);
  run_pair(first, second, done);
  EXPECT_EQ(done, 1);
}

TEST(Reactor, TellsWhatHappened) {
  struct Recorder final : Pollable {
    std::uint32_t events = 0;
    void on_events(std::uint32_t seen) override { events = seen; }
  } recorder;
  Reactor reactor = *Reactor::create();
  const Fd fd(eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
  ASSERT_EQ(reactor.watch(fd.raw(), EPOLLIN, recorder), 0);
  reactor.turn(reactor.now() + std::chrono::seconds(5));
  EXPECT_EQ(recorder.events, static_cast<std::uint32_t>(EPOLLIN));
  recorder.events = 0;
  reactor.unwatch(fd.raw());
  reactor.turn(reactor.now());
  EXPECT_EQ(recorder.events, 0U);
}

TEST(DeadlineQueue, ExpiresInOrderAndForgetsWhatIsArmedAgainOrGone) {
  const Reactor::Clock::time_point start{};
  DeadlineQueue queue{milliseconds(100)};
  Deadline first, second;
  {
    Deadline gone;
    queue.arm(gone, start);
  }
  queue.arm(first, start);
  queue.arm(second, start + milliseconds(10));
  EXPECT_EQ(queue.next(start + milliseconds(500)), start + milliseconds(100));
  queue.arm(first, start + milliseconds(20));
  EXPECT_EQ(queue.take_expired(start + milliseconds(109)), nullptr);
  EXPECT_EQ(queue.take_expired(start + milliseconds(110)), &second);
  EXPECT_EQ(queue.take_expired(start + milliseconds(110)), nullptr);
  EXPECT_EQ(queue.take_expired(start + milliseconds(120)), &first);
  EXPECT_EQ(queue.next(start), start);
}

}  // namespace
}  // namespace limpid
