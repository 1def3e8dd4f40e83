// SPDX-License-Identifier: MIT
// Coroutines of the path: Task<T> is awaited by exactly one other and starts when it is; Detached owns itself.
// No exception crosses them: a throw ends the process.
#pragma once
#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "base/check.h"

namespace limpid {

template <class T>
class [[nodiscard]] Task {
 public:
  struct promise_type {
    std::optional<T> value;
    std::coroutine_handle<> continuation;
    int* running = nullptr;  // set by both(): how many of the pair still run

    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct Finish {
        bool await_ready() noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) noexcept {
          promise_type& promise = self.promise();
          if (promise.running != nullptr && --*promise.running > 0) return std::noop_coroutine();
          return promise.continuation;
        }
        void await_resume() noexcept {}
      };
      return Finish{};
    }
    void return_value(T result) { value.emplace(std::move(result)); }
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
  };
  using Handle = std::coroutine_handle<promise_type>;

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
    handle_.promise().continuation = awaiting;
    return handle_;
  }
  T await_resume() { return std::move(*handle_.promise().value); }

  [[nodiscard]] Handle handle() const { return handle_; }

 private:
  explicit Task(Handle handle) : handle_(handle) {}
  Handle handle_;
};

// Awaits two tasks that run side by side; the awaiting coroutine goes on when both have ended.
template <class T>
auto both(Task<T>& first, Task<T>& second) {
  struct Both {
    Task<T>& first;
    Task<T>& second;
    int running = 2;

    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
      for (Task<T>* task : {&first, &second}) {
        task->handle().promise().continuation = awaiting;
        task->handle().promise().running = &running;
      }
      // The second has not begun, so the first cannot be the last to end: this frame outlives the call.
      first.handle().resume();
      return second.handle();
    }
    void await_resume() const noexcept {}
  };
  return Both{first, second};
}

struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
  };
};

}  // namespace limpid
