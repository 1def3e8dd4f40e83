// SPDX-License-Identifier: MIT
// Keeps a worker process alive: starts it, hands it what it needs, hears its heartbeats, ends one that hangs, starts
// the next.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <optional>

#include "account/counters.h"
#include "daemon/access_sink.h"
#include "daemon/bulk_pipes.h"
#include "daemon/listeners.h"
#include "daemon/orders.h"
#include "daemon/spawn.h"
#include "daemon/user_listeners.h"
#include "daemon/waiting.h"

namespace limpid {

class WorkerKeeper {
 public:
  static constexpr std::chrono::seconds hangs_after{5};  // without a heartbeat

  struct Needs {
    WorkerSettings settings;
    const Fd& policy;  // policy_file.h
    Listeners& listeners;
    const UserListeners& user_listeners;
    const UdpSockets& udp;
    AccessSink& access_sink;
    BulkPipes& pipes;
  };
  struct Events {
    std::function<void(const Child&)> started;  // before it may accept
    std::function<void()> ready;
    std::function<void(const std::string& how)> gone;
    std::function<void(const std::vector<Flow>&)> hand_over;           // UDP flows that the kernel may have
    std::function<void(const std::vector<FlowAccount>&)> handed_over;  // what the worker has carried of them
    std::function<void(const std::vector<MemberReport>&)> upstreams;   // how some of their addresses are
  };
  WorkerKeeper(boost::asio::io_context& io, const Needs& needs, Events events);

  // Runs until let_go(): one worker after the other.
  boost::asio::awaitable<void> keep();

  [[nodiscard]] bool is_ready() const { return ready_; }
  [[nodiscard]] pid_t pid() const { return child_ ? child_->pid : 0; }
  [[nodiscard]] std::uint64_t restarts() const { return started_ > 0 ? started_ - 1 : 0; }
  // Of this worker and all before it; as of the last heartbeat.
  [[nodiscard]] CounterValues counters() const;
  // Asks for a report and waits for it, for that long at the most; whether it has come. Everything sent to the worker
  // before has been obeyed then.
  boost::asio::awaitable<bool> refresh(std::chrono::milliseconds patience);
  // Tells the worker the start probe's port.
  [[nodiscard]] Result<> announce_probe(int family, std::uint16_t port);
  // Tells it what has become of UDP flows: MessageKind::flows_taken, flows_refused or flows_given_back.
  [[nodiscard]] Result<> tell(MessageKind what, std::span<const FlowAccount> flows);
  // Other settings and another policy file (Needs::policy has been replaced), for this worker and those after it.
  void adopt(const WorkerSettings& settings);
  // What the next worker gets.
  void expect(const WorkerSettings& settings) { needs_.settings = settings; }
  // Has it end what its policy would not have let go where it goes.
  void enforce();
  // Hands it new listeners: in place of dead ones, or at new places.
  void add_listeners(const std::vector<int>& listeners);

  // Ends the worker, whose sessions are reset, and starts no other.
  boost::asio::awaitable<void> let_go();

 private:
  [[nodiscard]] Result<> start();
  [[nodiscard]] Result<> hand_over();
  [[nodiscard]] Result<> send_policy();
  [[nodiscard]] Result<> send_descriptors(std::span<const int> descriptors);
  // Hears it until it ends or hangs; returns why that is.
  boost::asio::awaitable<std::string> attend();
  [[nodiscard]] Result<> hear(const Message& message);
  void must_hear(const Result<>& told);
  void bury();

  boost::asio::io_context& io_;
  Needs needs_;
  Events events_;
  std::optional<Child> child_;
  bool ready_ = false;
  bool ending_ = false;
  std::uint64_t started_ = 0;
  std::uint64_t reports_ = 0;   // asked for, of all workers
  std::uint64_t reported_ = 0;  // the last that was answered
  CounterValues alive_;
  CounterValues buried_;
  Signal heard_;
};

}  // namespace limpid
