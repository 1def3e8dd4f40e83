// SPDX-License-Identifier: MIT
// Clients like those of DNS: a flow is one question and one answer. Several are on the way at a time.
#include <sys/epoll.h>

#include <cstdio>
#include <cstring>

#include "load.h"

namespace limpid::udp_load {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 500ms;  // then an answer is lost

struct Question {
  Fd socket;
  sockaddr_in destination{};
  Header header;
  Clock::time_point asked;
};

class Asker {
 public:
  explicit Asker(const Arguments& arguments)
      : to_(arguments.address("to")),
        destinations_(arguments.whole("destinations")),
        port_(arguments.whole("port")),
        from_(arguments.address("from")),
        clients_(arguments.whole("clients")),
        first_port_(arguments.whole("first_port")),
        ports_(arguments.whole("ports")),
        size_(arguments.whole("size")) {}

  // Keeps `in_flight` questions on the way.
  void run(size_t in_flight, uint64_t flows, double seconds) {
    std::vector<Question> questions(in_flight);
    std::array<epoll_event, kBatch> events;
    const auto begun = Clock::now();
    const auto go_on = [&](Question& question) {
      question.socket.close();
      if (asked_ < flows && seconds_since(begun) < seconds) ask(question);
    };
    for (Question& question : questions) go_on(question);
    while (asked_ > answered_ + lost_ + wrong_) {
      const int ready = epoll_wait(answers_.raw(), events.data(), kBatch, 10);
      for (int i = 0; i < ready; ++i) {
        Question& question = *static_cast<Question*>(events[static_cast<size_t>(i)].data.ptr);
        ++(is_answered(question) ? answered_ : wrong_);
        go_on(question);
      }
      if (Clock::now() < next_look_) continue;
      next_look_ = Clock::now() + kPatience / 10;
      for (Question& question : questions) {
        if (!question.socket.is_open() || Clock::now() - question.asked < kPatience) continue;
        ++lost_;
        go_on(question);
      }
    }
    seconds_ = seconds_since(begun);
  }

  void print() const {
    std::printf("{\"asked\": %lu, \"answered\": %lu, \"lost\": %lu, \"wrong\": %lu, \"seconds\": %.6f}\n", asked_,
                answered_, lost_, wrong_, seconds_);
  }

 private:
  void ask(Question& question) {
    const auto flow = static_cast<uint32_t>(asked_++);
    const sockaddr_in client = endpoint(from_ + flow % clients_, first_port_ + flow / clients_ % ports_);
    question.socket = bound_socket(client);
    question.destination = endpoint(to_ + flow % destinations_, port_);
    question.header = {.flow = flow,
                       .size = size_,
                       .client = client.sin_addr.s_addr,
                       .client_port = client.sin_port,
                       .kind = Kind::question};
    std::memcpy(bytes_.data(), &question.header, sizeof question.header);
    if (sendto(question.socket.raw(), bytes_.data(), size_, 0, generic(question.destination), sizeof(sockaddr_in)) < 0)
      fail("question");
    question.asked = Clock::now();
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &question}};
    if (epoll_ctl(answers_.raw(), EPOLL_CTL_ADD, question.socket.raw(), &event) < 0) fail("epoll");
  }

  // By the answer to this very question, from the address and port that were asked.
  bool is_answered(const Question& question) {
    sockaddr_in peer{};
    socklen_t peer_size = sizeof peer;
    const ssize_t size =
        recvfrom(question.socket.raw(), bytes_.data(), bytes_.size(), MSG_DONTWAIT, generic(peer), &peer_size);
    Header answer, wanted = question.header;
    wanted.kind = Kind::answer;
    std::memcpy(&answer, bytes_.data(), sizeof answer);
    return size == static_cast<ssize_t>(size_) && answer == wanted &&
           peer.sin_addr.s_addr == question.destination.sin_addr.s_addr &&
           peer.sin_port == question.destination.sin_port;
  }

  uint32_t to_, destinations_, port_, from_, clients_, first_port_, ports_, size_;
  Fd answers_{epoll_create1(EPOLL_CLOEXEC)};
  std::array<char, kLargest> bytes_{};
  Clock::time_point next_look_;
  uint64_t asked_ = 0, answered_ = 0, lost_ = 0, wrong_ = 0;
  double seconds_ = 0;
};

}  // namespace

void ask(const Arguments& arguments) {
  Asker asker(arguments);
  asker.run(arguments.whole("in_flight"), arguments.whole("flows"), arguments.number("seconds"));
  asker.print();
}

}  // namespace limpid::udp_load
