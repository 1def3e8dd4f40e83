// SPDX-License-Identifier: MIT
#include "proxy/leg.h"

#include "proxy/session.h"

namespace limpid {

int Leg::open(Fd fd) {
  fd_ = std::move(fd);
  readable_ = writable_ = hung_up_ = urgent_ = failed_ = false;
  return reactor_.watch(fd_.raw(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET, *this);
}

Fd Leg::release() { return std::move(fd_); }

void Leg::wake(std::coroutine_handle<>& waiter, bool& is_ready) {
  if (waiter)
    reactor_.post(std::exchange(waiter, {}));
  else
    is_ready = true;
}

void Leg::wake_all() {
  wake(reader_, readable_);
  wake(writer_, writable_);
}

void Leg::cancel() {
  cancelled_ = true;
  wake_all();
}

void Leg::on_events(std::uint32_t events) {
  hung_up_ |= (events & (EPOLLRDHUP | EPOLLHUP)) != 0;
  urgent_ |= (events & EPOLLPRI) != 0;
  failed_ |= (events & EPOLLERR) != 0;
  const bool somebody_waits = reader_ || writer_;
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) wake(reader_, readable_);
  if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) wake(writer_, writable_);
  // A leg that nobody waits for, because its direction is at its end or its peer is slow, has failed all the same.
  if (failed_ && !somebody_waits) session_.leg_failed(*this);
}

}  // namespace limpid
