// SPDX-License-Identifier: MIT
// udp_load, the benchmark's UDP traffic: one thread a process. Results are JSON on standard output.
//   udp_load sink port=
//       counts what arrives and answers what asks for an answer, until SIGTERM
//   udp_load blast to= port= first_port= flows= size= rate= seconds=
//       a few questions on each flow, and "ready"; after a line on standard input datagrams one way, `rate` a second in
//       all, or (0) as fast as it can
//   udp_load ask to= destinations= port= from= clients= first_port= ports= size= in_flight= flows= seconds=
//       flows of one question and one answer, each from an address and port of its own, until there have been as many
//       or the time is over
#include "load.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace limpid::udp_load {

Batch::Batch() {
  for (size_t i = 0; i < kBatch; ++i) {
    datagrams[i].part.iov_base = datagrams[i].bytes.data();
    messages[i].msg_hdr.msg_iov = &datagrams[i].part;
    messages[i].msg_hdr.msg_iovlen = 1;
  }
}

Arguments::Arguments(int count, char** words) {
  for (const std::string word : std::vector<char*>(words + std::min(count, 2), words + count)) {
    const size_t equals = std::min(word.find('='), word.size());
    values_[word.substr(0, equals)] = word.substr(std::min(equals + 1, word.size()));
  }
}

const std::string& Arguments::value(const std::string& name) const {
  const auto found = values_.find(name);
  if (found != values_.end()) return found->second;
  errno = EINVAL;
  fail(name + "=");
}

double Arguments::number(const std::string& name) const { return std::strtod(value(name).c_str(), nullptr); }

uint32_t Arguments::address(const std::string& name) const {
  in_addr parsed{};
  errno = EINVAL;
  if (inet_pton(AF_INET, value(name).c_str(), &parsed) != 1) fail(name);
  return ntohl(parsed.s_addr);
}

void fail(const std::string& what) {
  std::fprintf(stderr, "udp_load: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

void say(const char* line) {
  std::puts(line);
  std::fflush(stdout);
}

sockaddr_in endpoint(uint32_t address, uint32_t port) {
  return {.sin_family = AF_INET,
          .sin_port = htons(static_cast<uint16_t>(port)),
          .sin_addr = {htonl(address)},
          .sin_zero = {}};
}

Fd bound_socket(sockaddr_in at) {
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (bind(socket.raw(), generic(at), sizeof at) < 0) fail("bind");
  return socket;
}

void set(const Fd& socket, int level, int option, int value) {
  if (setsockopt(socket.raw(), level, option, &value, sizeof value) < 0) fail("setsockopt");
}

bool is_readable_within(const Fd& socket, std::chrono::milliseconds time) {
  pollfd one{.fd = socket.raw(), .events = POLLIN, .revents = 0};
  return poll(&one, 1, static_cast<int>(time.count())) > 0;
}

}  // namespace limpid::udp_load

int main(int count, char** words) {
  using namespace limpid::udp_load;
  const std::string_view mode = count > 1 ? words[1] : "";
  const Arguments arguments(count, words);
  prctl(PR_SET_TIMERSLACK, 1000);  // nanoseconds: a nap takes half as long again with the default
  if (mode == "sink") {
    sink(arguments);
  } else if (mode == "blast") {
    blast(arguments);
  } else if (mode == "ask") {
    ask(arguments);
  } else {
    std::fputs("udp_load: sink, blast or ask\n", stderr);
    return 2;
  }
}
