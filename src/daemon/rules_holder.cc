// SPDX-License-Identifier: MIT
#include "daemon/rules_holder.h"

#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <memory>
#include <optional>

#include "daemon/account.h"
#include "daemon/command.h"
#include "daemon/foreign_listener.h"
#include "daemon/interception.h"
#include "daemon/log.h"
#include "daemon/start_probe.h"
#include "daemon/watcher_keeper.h"
#include "intercept/leftovers.h"
#include "net/sock_diag.h"

namespace limpid {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds lock_patience{5};
constexpr milliseconds listener_look_every{20};
constexpr seconds probe_within{5};
constexpr seconds machine_look_every{2};  // at what announces no change of its own

class RulesHolder {
 public:
  explicit RulesHolder(const HoldOptions& options) : options_(options) {}

  int run() {
    run_beside(io_, live());
    io_.run();
    return exit_status_;
  }

 private:
  asio::awaitable<void> live() {
    run_beside(io_, hear_signals());
    const Result<> started = co_await start();
    if (!started && !stop_wanted_) {
      spdlog::error("{}", started.error().what);
      exit_status_ = 1;
    }
    const bool is_served = started.has_value();
    while (is_served && !stop_wanted_) co_await stop_.wait(Clock::time_point::max());
    co_await end_command();
    if (is_served || has_ended_by_itself_) exit_status_ = std::max(exit_status_, command_status_);
    take_down();
    io_.stop();
  }

  // The rules first, taking nothing yet: whatever is refused is told before the command runs. Then the command, and new
  // connections when it listens.
  asio::awaitable<Result<>> start() {
    if (Result<> installed = install(); !installed) co_return installed;
    if (!options_.command.empty()) {
      Result<Command> command = Command::start(options_.command);
      if (!command) co_return std::unexpected(command.error());
      command_.emplace(std::move(*command));
      run_beside(io_, outlive_command());
    }
    if (Result<> found = co_await wait_for_listeners(); !found || stop_wanted_) co_return found;
    const Clock::time_point until = Clock::now() + probe_within;
    if (Result<> probed = co_await probe_listener(io_, plan(), until); !probed) co_return probed;
    if (Result<> probed = probe_routes(plan()); !probed) co_return failure_in("look-up of a route", probed);
    if (stop_wanted_) co_return Result<>{};
    if (Result<> taking = interception_->take(true); !taking) co_return failure_in("start taking", taking);
    was_ready_ = true;
    watcher_->keep_guard();
    run_beside(io_, watcher_->keep());
    interception_->follow();
    run_beside(io_, look_now_and_then());
    spdlog::info("ready: rules \"{}\", mark {}", plan().whose.name, plan().settings.mark.text());
    ::sd_notify(0, "READY=1");
    co_return Result<>{};
  }

  Result<> install() {
    const Result<Nft> lock = lock_rules(lock_patience);
    if (!lock) return std::unexpected(lock.error());
    Result<Nft> nft = Nft::open();
    if (!nft) return std::unexpected(nft.error());
    const Result<Plan> plan = with_free_numbers(*nft, options_.plan, options_.given);
    if (!plan) return std::unexpected(plan.error());
    Result<std::unique_ptr<Interception>> interception = Interception::survey(io_, *plan);
    if (!interception) return std::unexpected(interception.error());
    WatcherOrders orders{.account = nameless_watcher, .own_mark = {}, .protocol = plan->whose.protocol};
    std::ranges::copy(plan->whose.name, orders.name.begin());
    // Before anything is installed that nobody would take away.
    watcher_ = std::make_unique<WatcherKeeper>(
        io_, orders, [](const std::string& how) { spdlog::error("the watcher ended ({}): another starts", how); });
    if (Result<> watching = watcher_->start(); !watching) return watching;
    interception_ = std::move(*interception);
    return interception_->install();
  }

  asio::awaitable<Result<>> wait_for_listeners() {
    const Clock::time_point until = Clock::now() + options_.start_timeout;
    for (;;) {
      const Result<> found = look_for_listeners(plan());
      if (found || stop_wanted_) co_return found;
      if (Clock::now() >= until) co_return found;
      co_await pause_for(io_, listener_look_every);
    }
  }

  asio::awaitable<void> outlive_command() {
    Watch watch(io_, command_->pidfd());
    co_await watch.readable();
    command_status_ = command_->status();
    command_has_ended_ = true;
    if (!stop_wanted_) {
      has_ended_by_itself_ = true;
      if (was_ready_)
        spdlog::info("{} has ended: exit status {}", options_.command.front(), command_status_);
      else
        spdlog::error("{} has ended before it listened: exit status {}{}", options_.command.front(), command_status_,
                      command_status_ == 0 ? ": if it went into the background, have it stay in the foreground" : "");
      if (!was_ready_) exit_status_ = 1;
    }
    want_stop();
  }

  asio::awaitable<void> look_now_and_then() {
    while (!stop_wanted_) {
      co_await pause_for(io_, machine_look_every);
      if (!stop_wanted_) interception_->look();
    }
  }

  asio::awaitable<void> hear_signals() {
    asio::signal_set signals(io_, SIGTERM, SIGINT);
    for (const int number : {SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT}) signals.add(number);
    for (;;) {
      const int signal = co_await signals.async_wait(asio::use_awaitable);
      if (signal != SIGTERM && signal != SIGINT) {
        if (command_) command_->signal(signal);
        continue;
      }
      if (stop_wanted_ && command_) command_->signal(SIGKILL);
      want_stop();
    }
  }

  void want_stop() {
    stop_wanted_ = true;
    stop_.notify();
  }

  // Takes no more; the command ends as it likes, and a second signal to us ends it at once.
  asio::awaitable<void> end_command() {
    stop_wanted_ = true;
    ::sd_notify(0, "STOPPING=1");
    if (interception_)
      if (Result<> let_go = interception_->take(false); !let_go) spdlog::error("{}", let_go.error().what);
    if (!command_) co_return;
    if (!command_has_ended_) command_->signal(SIGTERM);
    while (!command_has_ended_) co_await stop_.wait(Clock::time_point::max());
  }

  void take_down() {
    if (interception_) {
      const bool closed = plan().settings.without_us == WithoutUs::closed;
      const bool keep_guard = closed && (was_ready_ || interception_->has_adopted_guard());
      const Removed removed = interception_->withdraw(keep_guard ? GuardFate::keep : GuardFate::remove);
      for (const Error& error : removed.errors) spdlog::error("withdraw: {}", error.what);
      if (!removed.errors.empty()) exit_status_ = 1;
      forget_time_wait();
      if (keep_guard)
        spdlog::info("without_us = \"closed\": connections are refused until `limpid rules remove {}`",
                     plan().whose.name);
    }
    if (watcher_) watcher_->stand_down();
  }

  // What its sockets have left would swallow the packets of a client that uses its port again (docs/kernel.md, F14).
  void forget_time_wait() const {
    if (!command_) return;
    if (const Result<Destroyed> forgotten = destroy_borrowed_time_wait(plan().settings.tcp); !forgotten)
      spdlog::warn("{}", forgotten.error().what);
  }

  [[nodiscard]] const Plan& plan() const { return interception_->plan(); }

  const HoldOptions& options_;
  asio::io_context io_{1};
  int exit_status_ = 0, command_status_ = 0;
  bool stop_wanted_ = false, was_ready_ = false, command_has_ended_ = false, has_ended_by_itself_ = false;
  Signal stop_{io_};
  // First in, last out.
  std::unique_ptr<WatcherKeeper> watcher_;
  std::unique_ptr<Interception> interception_;
  std::optional<Command> command_;
};

}  // namespace

int hold_rules(const HoldOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);
  log_to_stderr(LogLevel::info);
  return RulesHolder(options).run();
}

}  // namespace limpid
