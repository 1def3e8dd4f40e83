// SPDX-License-Identifier: MIT
#include "daemon/worker_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <latch>
#include <thread>

#include "daemon/channel.h"
#include "daemon/confine.h"
#include "daemon/flow_messages.h"
#include "daemon/policy_file.h"
#include "daemon/spawn.h"
#include "proxy/random_seed.h"
#include "proxy/worker.h"

namespace limpid {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds heartbeat_interval{500};
constexpr std::chrono::milliseconds once_interval{50};  // where the end of the one session is waited for
constexpr int dies_with_supervisor_within = 1000;       // ms
constexpr int order_patience = 5000;                    // ms for the supervisor to send what it has announced

struct Orders {
  WorkerSettings settings;
  std::shared_ptr<const PathPolicy> policy;
  std::vector<Fd> descriptors;
};

// `before`: the policy that this one follows, or null.
Result<std::shared_ptr<const PathPolicy>> read_policy(const Message& message, const PathPolicy* before) {
  if (message.kind != MessageKind::policy || message.fds.size() != 1)
    return failure("the supervisor sent something else in place of a policy");
  Result<PolicySource> source = read_policy_file(message.fds[0]);
  if (!source) return std::unexpected(source.error());
  return std::make_shared<const PathPolicy>(*std::move(source), random_seed(), before);
}

Result<Orders> receive_orders(const Channel& channel) {
  Result<Message> first = channel.wait(order_patience);
  if (!first) return std::unexpected(first.error());
  const Result<WorkerSettings> settings = first->as<WorkerSettings>();
  if (!settings) return std::unexpected(settings.error());
  const Result<Message> second = channel.wait(order_patience);
  if (!second) return std::unexpected(second.error());
  Result<std::shared_ptr<const PathPolicy>> policy = read_policy(*second, nullptr);
  if (!policy) return std::unexpected(policy.error());
  Orders orders{*settings, *std::move(policy), {}};
  while (orders.descriptors.size() < settings->descriptors()) {
    Result<Message> more = channel.wait(order_patience);
    if (!more) return std::unexpected(more.error());
    for (Fd& fd : more->fds) orders.descriptors.push_back(std::move(fd));
  }
  return orders;
}

// Deals the descriptors out, in the order of WorkerSettings.
std::vector<WorkerParts> deal(Orders& orders, const HandoverCalls& handover) {
  const WorkerSettings& settings = orders.settings;
  std::vector<WorkerParts> parts(settings.threads);
  auto next = orders.descriptors.begin();
  for (std::uint32_t group = 0; group < settings.families + settings.places; ++group)
    for (WorkerParts& part : parts) part.listeners.push_back(std::move(*next++));
  if (settings.has_udp4 || settings.has_udp6) {
    UdpParts& udp = parts.emplace_back().udp.emplace();
    udp.handover = handover;
    udp.segment_sockets = settings.segment_sockets;
    if (settings.has_udp4) add_udp_parts(AF_INET, next, udp);
    if (settings.has_udp6) add_udp_parts(AF_INET6, next, udp);
  }
  if (settings.has_log)
    for (WorkerParts& part : parts) part.access_log = std::move(*next++);
  for (WorkerParts& part : parts) part.policy = orders.policy;
  parts.front().checks_upstreams = true;
  for (std::uint32_t i = 0; i < settings.pipes; ++i) {
    Fd read_end = std::move(*next++);
    parts[i % settings.threads].pipes.push_back({std::move(read_end), std::move(*next++)});
  }
  return parts;
}

class WorkerProcess {
 public:
  explicit WorkerProcess(const Channel& channel) : channel_(channel) {}

  Result<> run() {
    Result<Orders> orders = receive_orders(channel_);
    if (!orders) return failure_in("take the supervisor's orders", orders);
    // A thread of this class that is woken does not push the running one aside: more is ready each time it does run,
    // and there are fewer switches (sched(7), SCHED_BATCH). Refused, it would only be slower.
    constexpr sched_param no_priority{};
    (void)::sched_setscheduler(0, SCHED_BATCH, &no_priority);
    ::tzset();  // reads files
    if (Result<> confined = confine_worker(orders->settings.account); !confined)
      return failure_in("confine the worker", confined);
    state_.sessions_free = sessions_max_ = orders->settings.path.sessions_max;
    tcp_threads_ = orders->settings.threads;
    once_ = orders->settings.path.once;
    policy_ = orders->policy;
    for (WorkerParts& parts : deal(*orders, handover_calls())) {
      Result<std::unique_ptr<Worker>> worker = Worker::create(orders->settings.path, state_, std::move(parts));
      if (!worker) return failure_in("start a path thread", worker);
      workers_.push_back(std::move(*worker));
    }
    std::vector<std::jthread> threads;
    for (const auto& worker : workers_) threads.emplace_back([&worker] { worker->run(); });
    Result<> served = serve();
    // A dying supervisor's channel closes before its table does, and until that is gone we are still sent connections:
    // so on until the kernel kills us (PR_SET_PDEATHSIG), which is its last step.
    if (!served) ::poll(nullptr, 0, dies_with_supervisor_within);
    // Whatever has ended us, the sessions end as resets.
    state_.ending = true;
    for (const auto& worker : workers_) worker->wake();
    threads.clear();  // joins
    if (served) served = heartbeat();
    return served;
  }

 private:
  // Called by the thread with UDP. A message is sent whole or not at all.
  HandoverCalls handover_calls() {
    return {.ask =
                [this](std::span<const Flow> flows) {
                  const auto some = flows.first(std::min(flows.size(), Channel::most_bytes / sizeof(Flow)));
                  return channel_.send(MessageKind::hand_over, body_of(some)) ? some.size() : 0;
                },
            .account =
                [this](std::span<const FlowAccount> accounts) {
                  const PackedAccounts packed = pack_accounts(accounts, Channel::most_bytes);
                  return channel_.send(MessageKind::handed_over, packed.body) ? packed.count : 0;
                }};
  }

  Result<> tell(const Message& message, UdpHandover::Answer answer) {
    const Result<std::vector<FlowAccount>> flows = unpack_accounts(message.body);
    if (!flows) return std::unexpected(flows.error());
    for (const auto& worker : workers_)
      if (worker->udp() != nullptr)
        worker->post([udp = worker->udp(), answer, flows = *flows] { udp->handover().take(answer, flows); });
    return {};
  }

  // Until the supervisor says the end, or is gone.
  Result<> serve() {
    if (Result<> sent = channel_.send(MessageKind::ready); !sent) return sent;
    for (Clock::time_point next = Clock::now();;) {
      const auto now = Clock::now();
      if (now >= next) {
        next = now + (once_ ? once_interval : heartbeat_interval);
        if (all_have_turned())
          if (Result<> sent = heartbeat(); !sent) return sent;
      }
      pollfd waiting{channel_.fd(), POLLIN, 0};
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count();
      if (::poll(&waiting, 1, static_cast<int>(std::max<long>(left, 0))) <= 0) continue;
      Result<std::optional<Message>> message = channel_.receive();
      if (!message) return std::unexpected(message.error());
      if (!*message) continue;
      if ((*message)->kind == MessageKind::end) return {};
      if (Result<> obeyed = obey(**message); !obeyed) return obeyed;
    }
  }

  Result<> obey(Message& message) {
    switch (message.kind) {
      case MessageKind::report: {
        const Result<std::uint64_t> number = message.as<std::uint64_t>();
        if (!number) return std::unexpected(number.error());
        last_report_ = *number;
        tell_of_upstreams();
        return heartbeat();
      }
      case MessageKind::probe: {
        const Result<ProbeOrder> order = message.as<ProbeOrder>();
        if (!order) return std::unexpected(order.error());
        state_.probes[order->family == AF_INET ? 0 : 1] = order->port;
        return {};
      }
      case MessageKind::descriptors:  // listeners in place of dead ones, or new ones of the user's
        for (Fd& fd : message.fds) {
          Worker& worker = *workers_[next_for_listener_++ % tcp_threads_];
          worker.post([&worker, listener = std::move(fd)]() mutable { worker.add_listener(std::move(listener)); });
        }
        return {};
      case MessageKind::policy: {
        const Result<PathSettings> settings = message.as<PathSettings>();
        if (!settings) return std::unexpected(settings.error());
        Result<std::shared_ptr<const PathPolicy>> policy = read_policy(message, policy_.get());
        if (!policy) return std::unexpected(policy.error());
        policy_ = *std::move(policy);
        state_.sessions_free += settings->sessions_max - sessions_max_;
        sessions_max_ = settings->sessions_max;
        on_every_thread([&](Worker& worker) { worker.adopt(*settings, policy_); });
        return {};
      }
      case MessageKind::enforce:
        on_every_thread([](Worker& worker) { worker.enforce(); });
        return {};
      case MessageKind::flows_taken:
        return tell(message, UdpHandover::Answer::taken);
      case MessageKind::flows_refused:
        return tell(message, UdpHandover::Answer::refused);
      case MessageKind::flows_given_back:
        return tell(message, UdpHandover::Answer::given_back);
      default:
        return failure("the supervisor sent a message that is not for a worker");
    }
  }

  // Waited for, since the next report tells the supervisor that it has been done everywhere.
  template <class Work>
  void on_every_thread(const Work& work) {
    std::latch everywhere(static_cast<std::ptrdiff_t>(workers_.size()));
    for (const auto& worker : workers_)
      worker->post([&] {
        work(*worker);
        everywhere.count_down();
      });
    everywhere.wait();
  }

  // No heartbeat while a thread hangs: the supervisor then thinks the worker dead, and is right. Threads that have
  // nothing to do turn now and then, and not together: each counts until all have.
  bool all_have_turned() {
    turned_.resize(workers_.size());
    for (std::size_t place = 0; place < workers_.size(); ++place)
      if (workers_[place]->has_turned()) turned_[place] = true;
    if (std::ranges::find(turned_, false) != turned_.end()) return false;
    turned_.clear();
    return true;
  }

  Result<> heartbeat() const {
    Heartbeat beat{.report = last_report_, .counters = {}};
    for (const auto& worker : workers_) beat.counters += worker->counters().values();
    beat.counters.dns_names = state_.dns_answers.size();
    Result<> sent = channel_.send_value(MessageKind::heartbeat, beat);
    // A supervisor that is slow to read will get the next one.
    if (!sent && sent.error().code == EAGAIN) return {};
    return sent;
  }

  // What a supervisor that is slow to read does not get, it will with the next report.
  void tell_of_upstreams() const {
    constexpr std::size_t most = Channel::most_bytes / sizeof(MemberReport);
    const std::vector<MemberReport> reports = policy_->report(Clock::now());
    for (std::span<const MemberReport> rest = reports; !rest.empty();) {
      const auto some = rest.first(std::min(rest.size(), most));
      if (!channel_.send(MessageKind::upstreams, body_of(some))) return;
      rest = rest.subspan(some.size());
    }
  }

  const Channel& channel_;
  PathState state_;
  std::shared_ptr<const PathPolicy> policy_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<bool> turned_;  // of workers_, since the last heartbeat
  std::uint64_t last_report_ = 0;
  std::size_t next_for_listener_ = 0;
  std::int64_t sessions_max_ = 0;
  std::size_t tcp_threads_ = 1;  // the first of workers_
  bool once_ = false;
};

}  // namespace

int run_worker() {
  // These are for the supervisor, which will tell us what to do; a terminal sends them to the whole process group.
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE}) std::signal(signal, SIG_IGN);
  const Channel channel{Fd(channel_fd)};
  if (::fcntl(channel.fd(), F_SETFD, FD_CLOEXEC) != 0) {
    std::fputs("limpid worker: is started by `limpid run`, not by hand\n", stderr);
    return 2;
  }
  const Result<> run = WorkerProcess(channel).run();
  if (!run) std::fprintf(stderr, "limpid worker: %s\n", run.error().what.c_str());
  return run ? 0 : 1;
}

}  // namespace limpid
