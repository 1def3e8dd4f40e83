// SPDX-License-Identifier: MIT
#include "proxy/reactor.h"

#include <array>
#include <cerrno>

#include "base/check.h"

namespace limpid {

Result<Reactor> Reactor::create() {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.is_open()) return errno_failure("epoll_create1", errno);
  return Reactor(std::move(epoll));
}

int Reactor::watch(int fd, std::uint32_t events, Pollable& pollable) {
  epoll_event event{.events = events, .data = {.ptr = &pollable}};
  return ::epoll_ctl(epoll_.raw(), EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

void Reactor::unwatch(int fd) { CHECK(::epoll_ctl(epoll_.raw(), EPOLL_CTL_DEL, fd, nullptr) == 0); }

void Reactor::wait(Clock::time_point until) {
  std::array<epoll_event, 128> events;
  int timeout = 0;
  if (ready_.empty()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now_).count();
    timeout = static_cast<int>(std::clamp<long>(left, 0, 60'000));
  }
  const int n = ::epoll_wait(epoll_.raw(), events.data(), static_cast<int>(events.size()), timeout);
  CHECK(n >= 0 || errno == EINTR);
  now_ = Clock::now();
  for (int i = 0; i < n; ++i)
    static_cast<Pollable*>(events[static_cast<std::size_t>(i)].data.ptr)
        ->on_events(events[static_cast<std::size_t>(i)].events);
}

void Reactor::turn(Clock::time_point until) {
  wait(until);
  resuming_.swap(ready_);
  for (std::coroutine_handle<> coroutine : resuming_) coroutine.resume();
  resuming_.clear();
}

}  // namespace limpid
