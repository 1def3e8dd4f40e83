// SPDX-License-Identifier: MIT
#include "daemon/watcher_process.h"

#include <fcntl.h>
#include <poll.h>

#include <chrono>
#include <csignal>
#include <cstdio>

#include "daemon/channel.h"
#include "daemon/confine.h"
#include "daemon/spawn.h"
#include "intercept/leftovers.h"

namespace limpid {
namespace {

constexpr int supervisor_patience = 5000;  // ms for the supervisor to send the orders
constexpr int worker_dies_within = 500;    // ms: the kernel kills the worker with its supervisor (PR_SET_PDEATHSIG)

bool has_ended(const Fd& pidfd, int milliseconds) {
  pollfd waiting{pidfd.raw(), POLLIN, 0};
  return ::poll(&waiting, 1, milliseconds) > 0;
}

// What is to be done when the supervisor has died.
struct Duty {
  Fd worker;  // pidfd
  GuardFate guard = GuardFate::remove;
};

// A guard that stands already is from before this start, or its limpid has been ready before this watcher came.
Result<GuardFate> guard_fate(const Instance& whose) {
  Result<Nft> nft = Nft::open();
  if (!nft) return std::unexpected(nft.error());
  const Result<Holder> holder = holder_of(*nft, whose.guard());
  if (!holder) return std::unexpected(holder.error());
  return *holder == Holder::none ? GuardFate::remove : GuardFate::keep;
}

// Follows the supervisor's messages until it is gone: true: it died with its work undone.
Result<bool> outlive(const Channel& channel, const Fd& supervisor, Duty& duty) {
  for (;;) {
    Result<Message> message = channel.wait(-1);
    if (!message) {
      // Our end of the channel tells of its death before its pidfd does.
      return has_ended(supervisor, supervisor_patience) ? Result<bool>(true)
                                                        : failure_in("follow the supervisor", message);
    }
    if (message->kind == MessageKind::stand_down) return false;
    if (message->kind == MessageKind::keep_guard) duty.guard = GuardFate::keep;
    if (message->kind == MessageKind::worker && message->fds.size() == 1) duty.worker = std::move(message->fds[0]);
  }
}

Result<> run(const Channel& channel) {
  Result<Message> first = channel.wait(supervisor_patience);
  if (!first) return failure_in("take the supervisor's orders", first);
  const Result<WatcherOrders> orders = first->as<WatcherOrders>();
  if (!orders) return failure_in("take the supervisor's orders", orders);
  if (first->fds.size() != 1) return failure("take the supervisor's orders: its pidfd is missing");
  if (Result<> confined = confine_watcher(orders->account); !confined)
    return failure_in("confine the watcher", confined);
  const Instance whose{.name = orders->name.data(), .protocol = orders->protocol};
  const Result<GuardFate> fate = guard_fate(whose);
  if (!fate) return failure_in("look for the guard", fate);
  Duty duty{.worker = {}, .guard = *fate};
  if (Result<> sent = channel.send(MessageKind::ready); !sent) return sent;

  const Result<bool> died = outlive(channel, first->fds[0], duty);
  if (!died || !*died) return died ? Result<>{} : std::unexpected(died.error());
  if (duty.worker.is_open()) has_ended(duty.worker, worker_dies_within);
  const Result<Removed> removed =
      clean_up(orders->own_mark, duty.guard, std::chrono::milliseconds(supervisor_patience), whose);
  if (!removed) return failure_in("clean up after the supervisor", removed);
  for (const Error& error : removed->errors) std::fprintf(stderr, "limpid watcher: %s\n", error.what.c_str());
  std::fprintf(stderr, "limpid watcher: the supervisor died: removed %zu fib rules and routes, ended %lu sockets\n",
               removed->what.size(), removed->sockets.destroyed);
  return {};
}

}  // namespace

int run_watcher() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE}) std::signal(signal, SIG_IGN);
  const Channel channel{Fd(channel_fd)};
  if (::fcntl(channel.fd(), F_SETFD, FD_CLOEXEC) != 0) {
    std::fputs("limpid watcher: is started by `limpid run`, not by hand\n", stderr);
    return 2;
  }
  const Result<> ran = run(channel);
  if (!ran) std::fprintf(stderr, "limpid watcher: %s\n", ran.error().what.c_str());
  return ran ? 0 : 1;
}

}  // namespace limpid
