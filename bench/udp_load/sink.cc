// SPDX-License-Identifier: MIT
// The server: each datagram counted once by its flow and number, questions answered.
#include <linux/sock_diag.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <thread>

#include "load.h"

namespace limpid::udp_load {
namespace {

using namespace std::chrono_literals;

volatile std::sig_atomic_t ended = 0;

class Sink {
 public:
  explicit Sink(uint32_t port) : socket_(bound_socket(endpoint(INADDR_ANY, port))) {
    set(socket_, SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20);
    set(socket_, SOL_SOCKET, SO_SNDBUFFORCE, 16 << 20);
    set(socket_, IPPROTO_IP, IP_PKTINFO, 1);
  }

  // Until the end is wanted and nothing comes any more. Between datagrams that count it naps: to wake it for each would
  // cost whoever sends them more than the datagram does.
  void run() {
    bool naps = false;
    for (;;) {
      const int count = receive();
      if (count > 0) {
        naps = take(static_cast<size_t>(count)) == 0;
      } else if (naps) {
        std::this_thread::sleep_for(kNap);
        naps = Clock::now() - last_ < 50ms;
      } else if (!is_readable_within(socket_, 100ms) && ended) {
        return;
      }
    }
  }

  void print() const {
    std::array<uint32_t, SK_MEMINFO_VARS> memory{};
    socklen_t size = sizeof memory;
    getsockopt(socket_.raw(), SOL_SOCKET, SO_MEMINFO, memory.data(), &size);
    uint64_t received = 0;
    std::string each;
    for (const Flow& flow : flows_) {
      received += flow.received;
      each += (each.empty() ? "" : ", ") + std::to_string(flow.received);
    }
    std::printf(
        "{\"received\": %lu, \"seconds\": %.6f, \"duplicates\": %lu, \"late\": %lu, \"damaged\": %lu, "
        "\"questions\": %lu, \"wrong_source\": %lu, \"dropped_here\": %u, \"flows\": [%s]}\n",
        received, std::chrono::duration<double>(last_ - first_).count(), duplicates_, late_, damaged_, questions_,
        wrong_source_, memory[SK_MEMINFO_DROPS], each.c_str());
  }

 private:
  struct Flow {
    uint64_t received = 0;  // duplicates are not
    uint64_t next = 0;      // after the highest number
    std::vector<bool> seen;
  };

  int receive() {
    for (size_t i = 0; i < kBatch; ++i) {
      Batch::Datagram& datagram = batch_.datagrams[i];
      datagram.part.iov_len = kLargest;
      msghdr& message = batch_.messages[i].msg_hdr;
      message.msg_name = &datagram.peer;
      message.msg_namelen = sizeof datagram.peer;
      message.msg_control = datagram.control.data();
      message.msg_controllen = sizeof datagram.control;
    }
    return recvmmsg(socket_.raw(), batch_.messages.data(), kBatch, MSG_DONTWAIT, nullptr);
  }

  // Returns how many were questions.
  unsigned take(size_t count) {
    last_ = Clock::now();
    unsigned questions = 0;
    std::array<mmsghdr, kBatch> answers{};
    for (size_t i = 0; i < count; ++i) {
      Batch::Datagram& datagram = batch_.datagrams[i];
      Header& header = datagram.header();
      datagram.part.iov_len = batch_.messages[i].msg_len;
      if (header.size != batch_.messages[i].msg_len) {
        ++damaged_;
      } else if (header.kind == Kind::counted) {
        note(header);
      } else {
        wrong_source_ += header.client != datagram.peer.sin_addr.s_addr || header.client_port != datagram.peer.sin_port;
        header.kind = Kind::answer;
        answers[questions++] = batch_.messages[i];  // with its IP_PKTINFO, so it comes from the address that was asked
      }
    }
    questions_ += questions;
    for (unsigned sent = 0; sent < questions;) {
      const int more = sendmmsg(socket_.raw(), answers.data() + sent, questions - sent, 0);
      sent += static_cast<unsigned>(std::max(more, 1));  // one that is refused is lost
    }
    return questions;
  }

  void note(const Header& header) {
    if (first_ == Clock::time_point{}) first_ = last_;
    if (header.flow >= flows_.size()) flows_.resize(header.flow + 1);
    Flow& flow = flows_[header.flow];
    if (header.number >= flow.seen.size()) flow.seen.resize(header.number + (1 << 16));
    if (flow.seen[header.number]) {
      ++duplicates_;
      return;
    }
    flow.seen[header.number] = true;
    ++flow.received;
    late_ += header.number < flow.next;
    flow.next = std::max(flow.next, header.number + 1);
  }

  Fd socket_;
  Batch batch_;
  std::vector<Flow> flows_;
  Clock::time_point first_, last_;
  uint64_t duplicates_ = 0, late_ = 0, damaged_ = 0, questions_ = 0, wrong_source_ = 0;
};

}  // namespace

void sink(const Arguments& arguments) {
  struct sigaction action{};
  action.sa_handler = [](int) { ended = 1; };
  sigaction(SIGTERM, &action, nullptr);
  Sink sink(arguments.whole("port"));
  say("ready");
  sink.run();
  sink.print();
}

}  // namespace limpid::udp_load
