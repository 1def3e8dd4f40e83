// SPDX-License-Identifier: MIT
#include "daemon/worker_keeper.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "daemon/flow_messages.h"

namespace limpid {
namespace {

// The next start at once, unless workers die young.
Clock::duration back_off(Clock::duration lived, int deaths_in_a_row) {
  if (lived > std::chrono::seconds(10) || deaths_in_a_row <= 1) return Clock::duration::zero();
  return std::min<Clock::duration>(std::chrono::seconds(5),
                                   std::chrono::milliseconds(50) * (1 << std::min(deaths_in_a_row, 8)));
}

}  // namespace

WorkerKeeper::WorkerKeeper(boost::asio::io_context& io, const Needs& needs, Events events)
    : io_(io), needs_(needs), events_(std::move(events)), heard_(io) {}

boost::asio::awaitable<void> WorkerKeeper::keep() {
  for (int deaths_in_a_row = 0; !ending_;) {
    const Clock::time_point begun = Clock::now();
    std::string how;
    if (Result<> started = start(); started)
      how = co_await attend();
    else
      how = started.error().what;
    bury();
    if (ending_) break;
    events_.gone(how);
    const auto lived = Clock::now() - begun;
    deaths_in_a_row = lived > std::chrono::seconds(10) ? 1 : deaths_in_a_row + 1;
    if (const auto delay = back_off(lived, deaths_in_a_row); delay > Clock::duration::zero())
      co_await pause_for(io_, delay);
  }
}

Result<> WorkerKeeper::start() {
  Result<Child> child = spawn("worker");
  if (!child) return std::unexpected(child.error());
  child_ = std::move(*child);
  ++started_;
  events_.started(*child_);
  return hand_over();
}

Result<> WorkerKeeper::hand_over() {
  const WorkerSettings& settings = needs_.settings;
  std::vector<Fd> logs;
  for (std::uint32_t i = 0; settings.has_log && i < settings.all_threads(); ++i) {
    Result<Fd> log = needs_.access_sink.add_pipe();
    if (!log) return std::unexpected(log.error());
    logs.push_back(std::move(*log));
  }
  std::vector<int> descriptors = needs_.listeners.descriptors();
  for (const int fd : needs_.user_listeners.descriptors()) descriptors.push_back(fd);
  for (const int fd : needs_.udp.descriptors()) descriptors.push_back(fd);
  for (const Fd& fd : logs) descriptors.push_back(fd.raw());
  for (const int pipe : needs_.pipes.emptied()) descriptors.push_back(pipe);

  if (Result<> sent = child_->channel.send_value(MessageKind::settings, settings); !sent) return sent;
  if (Result<> sent = send_policy(); !sent) return sent;
  return send_descriptors(descriptors);
}

Result<> WorkerKeeper::send_descriptors(std::span<const int> descriptors) {
  while (!descriptors.empty()) {
    const std::span<const int> some = descriptors.first(std::min(descriptors.size(), Channel::most_fds));
    if (Result<> sent = child_->channel.send(MessageKind::descriptors, {}, some); !sent) return sent;
    descriptors = descriptors.subspan(some.size());
  }
  return {};
}

Result<> WorkerKeeper::send_policy() {
  const std::array file{needs_.policy.raw()};
  return child_->channel.send_value(MessageKind::policy, needs_.settings.path, file);
}

boost::asio::awaitable<std::string> WorkerKeeper::attend() {
  Watch watch(io_, child_->channel.fd());
  for (Clock::time_point until = Clock::now() + hangs_after;;) {
    if (!co_await watch.readable(until)) co_return fmt::format("it gave no sign of life for {} s", hangs_after.count());
    Result<std::optional<Message>> message = child_->channel.receive();
    if (!message) co_return std::string();
    if (!*message) continue;
    if (Result<> heard = hear(**message); !heard) co_return heard.error().what;
    until = Clock::now() + hangs_after;
  }
}

Result<> WorkerKeeper::hear(const Message& message) {
  switch (message.kind) {
    case MessageKind::ready:
      if (ready_) return failure("it said twice that it is ready");
      ready_ = true;
      events_.ready();
      break;
    case MessageKind::heartbeat: {
      const Result<Heartbeat> beat = message.as<Heartbeat>();
      if (!beat) return std::unexpected(beat.error());
      alive_ = beat->counters;
      reported_ = beat->report;
      break;
    }
    case MessageKind::hand_over: {
      const Result<std::vector<Flow>> flows = message.as_list<Flow>();
      if (!flows) return std::unexpected(flows.error());
      events_.hand_over(*flows);
      break;
    }
    case MessageKind::handed_over: {
      const Result<std::vector<FlowAccount>> accounts = unpack_accounts(message.body);
      if (!accounts) return std::unexpected(accounts.error());
      events_.handed_over(*accounts);
      break;
    }
    case MessageKind::upstreams: {
      const Result<std::vector<MemberReport>> reports = message.as_list<MemberReport>();
      if (!reports) return std::unexpected(reports.error());
      events_.upstreams(*reports);
      break;
    }
    default:
      return failure("it sent a message that is not a worker's");
  }
  heard_.notify();
  return {};
}

void WorkerKeeper::bury() {
  ready_ = false;
  alive_.sessions = alive_.flows = alive_.dns_names = 0;
  buried_ += std::exchange(alive_, {});
  if (child_) kill_and_reap(*child_);
  child_.reset();
  heard_.notify();
}

CounterValues WorkerKeeper::counters() const {
  CounterValues all = buried_;
  all += alive_;
  return all;
}

boost::asio::awaitable<bool> WorkerKeeper::refresh(std::chrono::milliseconds patience) {
  const Clock::time_point until = Clock::now() + patience;
  const std::uint64_t number = ++reports_;
  if (!ready_ || !child_->channel.send_value(MessageKind::report, number)) co_return false;
  while (reported_ < number && ready_ && Clock::now() < until) co_await heard_.wait(until);
  co_return reported_ >= number;
}

Result<> WorkerKeeper::announce_probe(int family, std::uint16_t port) {
  if (!ready_) return failure("no worker is ready");
  return child_->channel.send_value(MessageKind::probe, ProbeOrder{family, port});
}

Result<> WorkerKeeper::tell(MessageKind what, std::span<const FlowAccount> flows) {
  if (!ready_) return failure("no worker is ready");
  while (!flows.empty()) {
    const PackedAccounts packed = pack_accounts(flows, Channel::most_bytes);
    if (Result<> sent = child_->channel.send(what, packed.body); !sent) return sent;
    flows = flows.subspan(packed.count);
  }
  return {};
}

// One that is not told has to go, for it would go on by what no longer holds; the next gets all of it.
void WorkerKeeper::must_hear(const Result<>& told) {
  if (told) return;
  spdlog::error("the worker cannot be told of a change, and is replaced: {}", told.error().what);
  ::kill(child_->pid, SIGKILL);
}

void WorkerKeeper::adopt(const WorkerSettings& settings) {
  needs_.settings = settings;
  if (child_) must_hear(send_policy());
}

void WorkerKeeper::enforce() {
  if (child_) must_hear(child_->channel.send(MessageKind::enforce));
}

void WorkerKeeper::add_listeners(const std::vector<int>& listeners) {
  if (child_) must_hear(send_descriptors(listeners));
}

boost::asio::awaitable<void> WorkerKeeper::let_go() {
  ending_ = true;
  const Clock::time_point until = Clock::now() + std::chrono::seconds(2);
  if (child_) (void)child_->channel.send(MessageKind::end);  // one that is gone has ended
  while (child_ && Clock::now() < until) co_await heard_.wait(until);
  if (child_) ::kill(child_->pid, SIGKILL);
  while (child_) co_await heard_.wait(Clock::now() + std::chrono::seconds(1));
}

}  // namespace limpid
