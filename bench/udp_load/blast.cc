// SPDX-License-Identifier: MIT
// A client that sends and does not listen: what the server has not counted is lost.
#include <algorithm>
#include <cstdio>
#include <thread>

#include "load.h"

namespace limpid::udp_load {
namespace {

using namespace std::chrono_literals;

constexpr int kQuestions =
    8;  // on each flow, before the datagrams that count: each proxy knows it, and has let go if it does

struct Flow {
  Fd socket;
  sockaddr_in client{};
  uint64_t sent = 0;
};

std::vector<Flow> connected_flows(const Arguments& arguments) {
  sockaddr_in to = endpoint(arguments.address("to"), arguments.whole("port"));
  std::vector<Flow> flows(arguments.whole("flows"));
  for (uint32_t i = 0; i < flows.size(); ++i) {
    flows[i].socket = bound_socket(endpoint(INADDR_ANY, arguments.whole("first_port") + i));
    set(flows[i].socket, SOL_SOCKET, SO_SNDBUFFORCE, 16 << 20);
    if (connect(flows[i].socket.raw(), generic(to), sizeof to) < 0) fail("connect");
    socklen_t size = sizeof flows[i].client;
    getsockname(flows[i].socket.raw(), generic(flows[i].client), &size);
  }
  return flows;
}

void question(const std::vector<Flow>& flows, uint32_t number) {
  const Flow& flow = flows[number];
  const Header header{.flow = number,
                      .size = sizeof header,
                      .client = flow.client.sin_addr.s_addr,
                      .client_port = flow.client.sin_port,
                      .kind = Kind::question};
  if (send(flow.socket.raw(), &header, sizeof header, 0) < 0) fail("question");
}

// Returns how many stay without an answer.
int question_each(const std::vector<Flow>& flows) {
  int unanswered = 0;
  for (uint32_t i = 0; i < flows.size(); ++i) question(flows, i);
  for (const Flow& flow : flows) {
    Header answer;
    unanswered +=
        !is_readable_within(flow.socket, 1s) || recv(flow.socket.raw(), &answer, sizeof answer, MSG_DONTWAIT) < 0;
  }
  return unanswered;
}

class Blast {
 public:
  Blast(std::vector<Flow>& flows, uint32_t size) : flows_(flows) {
    for (Batch::Datagram& datagram : batch_.datagrams) {
      datagram.part.iov_len = size;
      datagram.header().size = size;
    }
  }

  void run(double rate, double seconds) {
    const auto begun = Clock::now();
    while ((seconds_ = seconds_since(begun)) < seconds) {
      const uint64_t due = rate > 0 ? static_cast<uint64_t>(seconds_ * rate) : sent_ + kBatch;
      if (due > sent_) {
        send(std::min<uint64_t>(due - sent_, kBatch));
      } else {
        std::this_thread::sleep_for(kNap);
      }
    }
  }

  void print(int unanswered) const {
    std::printf("{\"sent\": %lu, \"seconds\": %.6f, \"refused\": %lu, \"unanswered\": %d}\n", sent_, seconds_, refused_,
                unanswered);
  }

 private:
  // The next flow's turn.
  void send(size_t count) {
    const auto number = static_cast<uint32_t>(turn_++ % flows_.size());
    Flow& flow = flows_[number];
    for (size_t i = 0; i < count; ++i) {
      batch_.datagrams[i].header().flow = number;
      batch_.datagrams[i].header().number = flow.sent + i;
    }
    const int sent = sendmmsg(flow.socket.raw(), batch_.messages.data(), static_cast<unsigned>(count), 0);
    refused_ += sent < 0;
    flow.sent += static_cast<uint64_t>(std::max(sent, 0));
    sent_ += static_cast<uint64_t>(std::max(sent, 0));
  }

  std::vector<Flow>& flows_;
  Batch batch_;
  size_t turn_ = 0;
  uint64_t sent_ = 0, refused_ = 0;
  double seconds_ = 0;
};

}  // namespace

void blast(const Arguments& arguments) {
  std::vector<Flow> flows = connected_flows(arguments);
  int unanswered = 0;
  for (int i = 0; i < kQuestions; ++i) unanswered += question_each(flows);
  say("ready");
  if (std::getchar() == EOF) return;
  Blast blast(flows, arguments.whole("size"));
  blast.run(arguments.number("rate"), arguments.number("seconds"));
  blast.print(unanswered);
}

}  // namespace limpid::udp_load
