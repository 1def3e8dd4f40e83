// SPDX-License-Identifier: MIT
// One end of a session: a socket and the coroutines that wait for it. At most one coroutine waits to read, one to
// write.
#pragma once
#include <coroutine>

#include "base/fd.h"
#include "proxy/reactor.h"

namespace limpid {

class Session;

class Leg final : public Pollable {
 public:
  Leg(Reactor& reactor, Session& session) : reactor_(reactor), session_(session) {}
  Leg(const Leg&) = delete;
  Leg& operator=(const Leg&) = delete;

  // Takes the socket and has it watched, edge-triggered, for good; 0 or errno.
  [[nodiscard]] int open(Fd fd);
  // Gives the socket up, forgetting what was known of it.
  Fd release();
  [[nodiscard]] int fd() const { return fd_.raw(); }

  // `co_await leg.readable()`: true: try again; false: the session is ending.
  auto readable() { return Wait{*this, reader_, readable_}; }
  auto writable() { return Wait{*this, writer_, writable_}; }

  // The socket has an error, a reset most likely: recv(2) or SO_ERROR will tell.
  [[nodiscard]] bool has_failed() const { return failed_; }
  // The far end has said its last: read on until 0, for no further edge will come.
  [[nodiscard]] bool is_hung_up() const { return hung_up_; }
  // Urgent data has been here: reads stop at the mark without being at the end, and splice(2) cannot pass it.
  [[nodiscard]] bool is_urgent() const { return urgent_; }

  // What was looked at (MSG_PEEK) is still there: the next who waits for it need not.
  void unread() { readable_ = true; }
  // Whoever waits goes on, as if there were something.
  void wake_all();
  void cancel();
  void on_events(std::uint32_t events) override;

 private:
  struct Wait {
    Leg& leg;
    std::coroutine_handle<>& waiter;
    bool& is_ready;

    bool await_ready() const noexcept { return leg.cancelled_ || std::exchange(is_ready, false); }
    void await_suspend(std::coroutine_handle<> coroutine) const noexcept { waiter = coroutine; }
    bool await_resume() const noexcept { return !leg.cancelled_; }
  };
  void wake(std::coroutine_handle<>& waiter, bool& is_ready);

  Reactor& reactor_;
  Session& session_;
  Fd fd_;
  std::coroutine_handle<> reader_;
  std::coroutine_handle<> writer_;
  bool readable_ = false;
  bool writable_ = false;
  bool hung_up_ = false;
  bool urgent_ = false;
  bool failed_ = false;
  bool cancelled_ = false;
};

}  // namespace limpid
