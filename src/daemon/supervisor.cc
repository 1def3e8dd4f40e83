// SPDX-License-Identifier: MIT
#include "daemon/supervisor.h"

#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <memory>

#include "api/control.h"
#include "api/flows.h"
#include "api/status.h"
#include "config/write.h"
#include "daemon/account.h"
#include "daemon/control_server.h"
#include "daemon/given_back.h"
#include "daemon/log.h"
#include "daemon/preparation.h"
#include "daemon/reloader.h"
#include "daemon/start_probe.h"
#include "daemon/upstream_health.h"
#include "daemon/watcher_keeper.h"
#include "daemon/worker_keeper.h"
#include "daemon/worker_settings.h"
#include "policy/flow_filter.h"

namespace limpid {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds start_within{5};
constexpr milliseconds without_worker{200};  // then new connections are let go
constexpr seconds look_every{2};             // at what announces no change of its own
constexpr milliseconds once_look_every{50};  // whether the one session has ended

class Supervisor {
 public:
  explicit Supervisor(const RunOptions& options) : options_(options), config_(options.config) {}

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
    } else if (started) {
      while (!stop_wanted_) co_await stop_.wait(Clock::time_point::max());
      co_await drain();
    }
    co_await take_down();
    io_.stop();
  }

  // ---- start -------------------------------------------------------------------------------------------------------

  asio::awaitable<Result<>> start() {
    Result<Preparation> prepared = prepare(io_, config_);
    if (!prepared) co_return std::unexpected(prepared.error());
    prepared_ = std::move(*prepared);
    prepared_.worker.path.once = options_.once;
    interception_ = prepared_.interception.get();
    kernel_flows_ = prepared_.kernel_flows.get();
    if (Result<> installed = install(); !installed) co_return installed;
    const Clock::time_point until = Clock::now() + start_within;
    run_beside(io_, worker_->keep());
    while (!worker_->is_ready() && !stop_wanted_ && Clock::now() < until) co_await worker_ready_.wait(until);
    if (!worker_->is_ready()) co_return failure("start the worker: it did not become ready within 5 s");
    const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
    if (Result<> probed = co_await probe_rules(io_, interception_->plan(), *worker_, left); !probed) co_return probed;
    if (Result<> probed = probe_routes(interception_->plan()); !probed)
      co_return failure_in("look-up of a route", probed);
    if (stop_wanted_) co_return Result<>{};
    taking_wanted_ = true;
    if (Result<> taking = interception_->take(true); !taking) co_return failure_in("start taking", taking);
    state_ = "ready";
    was_ready_ = true;
    if (watcher_) {
      watcher_->keep_guard();
      run_beside(io_, watcher_->keep());
    }
    interception_->follow();
    run_beside(io_, look_now_and_then());
    if (options_.once) run_beside(io_, end_with_the_first());
    if (interception_->plan().handover) run_beside(io_, kernel_flows_->follow());
    spdlog::info("ready: {} path threads, at most {} sessions", prepared_.worker.threads,
                 prepared_.worker.path.sessions_max);
    ::sd_notify(0, "READY=1");
    co_return Result<>{};
  }

  Result<> install() {
    if (!interception_->plan().is_empty()) {  // else nothing would be left
      watcher_ = std::make_unique<WatcherKeeper>(
          io_, WatcherOrders{.account = nameless_watcher, .own_mark = config_.intercept.own_mark},
          [](const std::string& how) { spdlog::error("the watcher ended ({}): another starts", how); });
      if (Result<> watching = watcher_->start(); !watching) return watching;
    }
    if (Result<> installed = interception_->install(); !installed) return installed;
    worker_ = std::make_unique<WorkerKeeper>(
        io_,
        WorkerKeeper::Needs{prepared_.worker, prepared_.policy, *prepared_.listeners, prepared_.user_listeners,
                            prepared_.udp, *prepared_.access_sink, prepared_.pipes},
        WorkerKeeper::Events{
            .started =
                [this](const Child& child) {
                  if (watcher_) watcher_->watch_worker(child);
                },
            .ready = [this] { worker_is_ready(); },
            .gone = [this](const std::string& how) { worker_is_gone(how); },
            .hand_over = [this](const std::vector<Flow>& flows) { hand_over(flows); },
            .handed_over =
                [this](const auto& accounts) { give_back(*worker_, *kernel_flows_, kernel_flows_->add(accounts)); },
            .upstreams = [this](const auto& reports) { health_.hear(reports, config_.upstreams); }});
    if (options_.control_socket.empty()) return {};
    Result<ControlServer> control = ControlServer::open(
        io_, options_.control_socket, [this](std::string request) { return answer(std::move(request)); });
    if (!control) return std::unexpected(control.error());
    control_ = std::make_unique<ControlServer>(std::move(*control));
    run_beside(io_, control_->serve());
    return {};
  }

  // ---- life --------------------------------------------------------------------------------------------------------

  void worker_is_ready() {
    worker_ready_.notify();
    if (state_ == "no_worker") state_ = "ready";
    take_or_let_go();
  }

  void worker_is_gone(const std::string& how) {
    spdlog::error("the worker ended{}: its sessions were reset, another starts", how.empty() ? "" : " (" + how + ")");
    if (state_ == "ready") state_ = "no_worker";
    health_.forget();
    run_beside(io_, let_go_without_worker());
  }

  // Nobody answers: new connections wait in the listeners for a moment, then go direct or are refused.
  asio::awaitable<void> let_go_without_worker() {
    co_await pause_for(io_, without_worker);
    take_or_let_go();
  }

  void take_or_let_go() {
    if (Result<> done = interception_->take(taking_wanted_ && worker_->is_ready()); !done)
      spdlog::error("{}", done.error().what);
  }

  void hand_over(const std::vector<Flow>& flows) {
    const std::vector<Flow> taken = kernel_flows_->take(flows);
    std::vector<FlowAccount> has, has_not;
    for (const Flow& flow : flows)
      (std::ranges::find(taken, flow) != taken.end() ? has : has_not).push_back({.ends = flow});
    tell_worker(MessageKind::flows_taken, has);
    tell_worker(MessageKind::flows_refused, has_not);
  }

  void tell_worker(MessageKind what, const std::vector<FlowAccount>& flows) {
    if (flows.empty()) return;
    if (Result<> told = worker_->tell(what, flows); !told) spdlog::warn("tell the worker: {}", told.error().what);
  }

  asio::awaitable<void> look_now_and_then() {
    for (;;) {
      co_await pause_for(io_, look_every);
      if (state_ == "draining") co_return;
      interception_->look();
      judge_trial();
      reopen_listeners();
    }
  }

  void judge_trial() {
    const Result<std::vector<FlowAccount>> back = kernel_flows_->judge_trial();
    if (!back) return spdlog::warn("{}", back.error().what);
    give_back(*worker_, *kernel_flows_, *back);
    if (!back->empty())
      for (const std::string& sentence : interception_->forward_drops()) spdlog::warn("{}", sentence);
  }

  void reopen_listeners() {
    hand_on(prepared_.listeners->reopen_dead());
    hand_on(prepared_.user_listeners.reopen_dead());
  }

  void hand_on(const Reopened& reopened) {
    for (const Error& error : reopened.errors) spdlog::error("{}", error.what);
    if (reopened.sockets.empty()) return;
    spdlog::warn("somebody ended {} listeners: they are open again", reopened.sockets.size());
    worker_->add_listeners(reopened.sockets);
  }

  asio::awaitable<void> end_with_the_first() {
    for (;;) {
      co_await pause_for(io_, once_look_every);
      const CounterValues counters = worker_->counters();
      if (counters.accepted == 0 || counters.sessions > 0) continue;
      if (counters.closed[static_cast<std::size_t>(CloseReason::upstream_failed)] > 0) {
        spdlog::error("the one connection could not be served: nobody accepts it");
        exit_status_ = 1;
      }
      co_return want_stop();
    }
  }

  asio::awaitable<void> hear_signals() {
    asio::signal_set signals(io_, SIGTERM, SIGINT);
    signals.add(SIGUSR1);
    signals.add(SIGHUP);
    for (;;) {
      const int signal = co_await signals.async_wait(asio::use_awaitable);
      if (signal == SIGUSR1) {
        if (!prepared_.access_sink) continue;
        if (Result<> reopened = prepared_.access_sink->reopen(); !reopened) spdlog::error("{}", reopened.error().what);
      } else if (signal == SIGHUP) {
        const Result<Reloader::Failures> reloaded = co_await reload(Reloader::Enforce::no);
        if (!reloaded)
          spdlog::error("SIGHUP: nothing has changed: {}", reloaded.error().what);
        else if (reloaded->empty())
          spdlog::info("SIGHUP: reloaded");
        else
          spdlog::error("SIGHUP: {}", failures_text(*reloaded));
      } else {
        if (stop_wanted_) hurry_ = true;
        want_stop();
      }
    }
  }

  void want_stop() {
    stop_wanted_ = true;
    stop_.notify();
    worker_ready_.notify();
  }

  // ---- reload ------------------------------------------------------------------------------------------------------

  asio::awaitable<Result<std::string>> answer_reload(Reloader::Enforce enforce) {
    const Result<Reloader::Failures> reloaded = co_await reload(enforce);
    if (!reloaded) co_return std::unexpected(reloaded.error());
    if (!reloaded->empty()) co_return failure(failures_text(*reloaded));
    co_return "\"reloaded\"";
  }

  static std::string failures_text(const Reloader::Failures& failures) {
    return fmt::format("the new configuration holds, but: {}", fmt::join(failures, "; "));
  }

  asio::awaitable<Result<Reloader::Failures>> reload(Reloader::Enforce enforce) {
    if (state_ != "ready" && state_ != "no_worker") co_return failure("limpid is " + state_);
    if (reloading_) co_return failure("another reload is under way");
    std::expected<Config, ConfigErrors> wanted = options_.load();
    if (!wanted) co_return failure(lines_of(wanted.error()));
    reloading_ = true;
    Reloader reloader(config_, prepared_, *worker_);
    Result<Reloader::Failures> reloaded = co_await reloader.reload(std::move(*wanted), enforce);
    reloading_ = false;
    if (!reloaded) co_return reloaded;
    health_.forget();
    set_log_level(config_.log.level);
    co_return reloaded;
  }

  static std::string lines_of(const ConfigErrors& errors) {
    std::string lines;
    for (const ConfigError& error : errors) lines += (lines.empty() ? "" : "\n") + error.text();
    return lines;
  }

  // ---- end ---------------------------------------------------------------------------------------------------------

  // Takes no more; the sessions that live may finish.
  asio::awaitable<void> drain() {
    ::sd_notify(0, "STOPPING=1");
    state_ = "draining";
    taking_wanted_ = false;
    take_or_let_go();
    prepared_.user_listeners.shut();
    const Clock::time_point until = Clock::now() + config_.limits.drain_timeout;
    // Twice nobody: a handshake may have been under way.
    for (int quiet = 0; quiet < 2 && !hurry_ && Clock::now() < until && worker_->is_ready();) {
      interception_->forget_time_wait();
      const bool fresh = co_await worker_->refresh(seconds(1));
      quiet = fresh && worker_->counters().sessions == 0 ? quiet + 1 : 0;
      if (quiet < 2) co_await pause_for(io_, milliseconds(100));
    }
    if (worker_->counters().sessions > 0)
      spdlog::warn("{} sessions have not ended within drain_timeout: they are reset", worker_->counters().sessions);
  }

  asio::awaitable<void> take_down() {
    if (worker_) co_await worker_->let_go();
    if (kernel_flows_) {
      kernel_flows_->end();
    }
    if (prepared_.access_sink) co_await prepared_.access_sink->finish(Clock::now() + seconds(1));
    if (interception_) {
      const bool closed = config_.intercept.without_us == WithoutUs::closed;
      const bool keep_guard = closed && !withdraw_all_ && (was_ready_ || interception_->has_adopted_guard());
      const Removed removed = interception_->withdraw(keep_guard ? GuardFate::keep : GuardFate::remove);
      for (const Error& error : removed.errors) spdlog::error("withdraw: {}", error.what);
      if (!removed.errors.empty()) exit_status_ = 1;
      if (removed.sockets.refused_by_kernel > 0)
        spdlog::warn(
            "this kernel does not destroy TIME_WAIT sockets: for 60 s a client that uses its port again may get no "
            "answer");
      if (keep_guard) spdlog::info("without_us = \"closed\": connections are refused until `limpid withdraw`");
    }
    if (watcher_) watcher_->stand_down();
    withdrawn_.notify();
    if (withdraw_all_) co_await pause_for(io_, milliseconds(10));  // for the answer to go out
  }

  // ---- what is asked -----------------------------------------------------------------------------------------------

  asio::awaitable<Result<std::string>> answer(std::string request) {
    if (request == "status") {
      (void)co_await worker_->refresh(milliseconds(300));
      co_return to_json(status());
    }
    if (request == "config") co_return json_text(to_toml(config_));
    if (request == "flows") {
      if (Result<> looked = kernel_flows_->look(); !looked) co_return std::unexpected(looked.error());
      co_return flows_to_json(kernel_flows_->list());
    }
    if (constexpr std::string_view verb = "take-back "; request.starts_with(verb))
      co_return take_back(std::string_view(request).substr(verb.size()));
    if (request == "reload") co_return co_await answer_reload(Reloader::Enforce::no);
    if (request == "reload enforce") co_return co_await answer_reload(Reloader::Enforce::yes);
    if (request == "withdraw") {
      withdraw_all_ = true;
      want_stop();
      co_await withdrawn_.wait(Clock::time_point::max());
      co_return "\"withdrawn\"";
    }
    co_return failure("there is no request \"" + request + "\"");
  }

  Result<std::string> take_back(std::string_view words) {
    const Result<FlowFilter> filter = FlowFilter::parse(words);
    if (!filter) return std::unexpected(filter.error());
    const Result<std::vector<FlowAccount>> flows =
        kernel_flows_->take_back([&filter](const Flow& flow, const FlowLabel&) { return filter->matches(flow); });
    if (!flows) return std::unexpected(flows.error());
    give_back(*worker_, *kernel_flows_, *flows);
    return std::to_string(flows->size());
  }

  [[nodiscard]] Status status() const {
    const Conditions conditions = interception_->conditions();
    CounterValues counters = worker_->counters();
    counters += kernel_flows_->counters();
    Status status{.state = state_,
                  .version = LIMPID_VERSION,
                  .supervisor_pid = ::getpid(),
                  .worker_pid = worker_->pid(),
                  .watcher_pid = watcher_ ? watcher_->pid() : 0,
                  .sessions_max = static_cast<std::uint64_t>(prepared_.worker.path.sessions_max),
                  .worker_restarts = worker_->restarts(),
                  .counters = counters,
                  .kernel_flows = kernel_flows_->size(),
                  .handed_over = kernel_flows_->totals().handed_over,
                  .taken_back = kernel_flows_->totals().taken_back,
                  .taking = conditions.taking,
                  .zones = conditions.zones,
                  .early = conditions.early,
                  .cookies = conditions.cookies,
                  .upstreams = health_.status(config_.upstreams),
                  .installed = interception_->lines(),
                  .degraded = interception_->degraded()};
    if (prepared_.pipes.count() < most_pipes)
      status.degraded.push_back(
          fmt::format("only {} of {} large pipes could be had: bulk on further sessions is copied: give limpid "
                      "CAP_SYS_RESOURCE, or "
                      "raise fs.pipe-user-pages-soft",
                      prepared_.pipes.count(), most_pipes));
    if (kernel_flows_->are_dropped())
      for (const std::string& sentence : interception_->forward_drops()) status.degraded.push_back(sentence);
    if (!prepared_.access_sink->trouble().empty()) status.degraded.push_back(prepared_.access_sink->trouble());
    return status;
  }

  const RunOptions& options_;
  Config config_;  // as of the last reload
  asio::io_context io_{1};
  int exit_status_ = 0;
  std::string state_ = "starting";
  bool taking_wanted_ = false, stop_wanted_ = false, hurry_ = false, was_ready_ = false, withdraw_all_ = false,
       reloading_ = false;
  Signal stop_{io_}, worker_ready_{io_}, withdrawn_{io_};
  UpstreamHealth health_;
  // First in, last out.
  Preparation prepared_;
  Interception* interception_ = nullptr;  // of prepared_, as soon as that is there
  KernelFlows* kernel_flows_ = nullptr;   // likewise
  std::unique_ptr<WatcherKeeper> watcher_;
  std::unique_ptr<WorkerKeeper> worker_;
  std::unique_ptr<ControlServer> control_;
};

}  // namespace

int run_supervisor(const RunOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);
  log_to_stderr(options.config.log.level);
  return Supervisor(options).run();
}

}  // namespace limpid
