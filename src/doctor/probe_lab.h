// SPDX-License-Identifier: MIT
// A client and a server of our own at this machine's two sides, each in a network namespace that goes with this
// process.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "net/lab.h"

namespace limpid {

class ProbeLab {
 public:
  // `client_link`: what the client's interface is called here. `come_in_as`: what the client sends is received at that
  // interface; empty: at its own. Families that this machine has not got are left out.
  struct Wiring {
    std::string client_link;
    std::string come_in_as;
    std::vector<int> families;
  };
  [[nodiscard]] static Result<ProbeLab> build(const Wiring& wiring);
  ProbeLab(ProbeLab&&) = default;
  ~ProbeLab();  // takes the interfaces away, in reverse

  [[nodiscard]] const NetworkNamespace& client() const { return client_; }
  [[nodiscard]] const NetworkNamespace& here() const { return here_; }
  [[nodiscard]] const NetworkNamespace& server() const { return server_; }
  // Of benchmarks (RFC 2544), and made up for this (RFC 4193).
  [[nodiscard]] static Address client_address(int family);
  [[nodiscard]] static Address server_address(int family);

 private:
  ProbeLab(NetworkNamespace client, NetworkNamespace here, NetworkNamespace server)
      : client_(std::move(client)), here_(std::move(here)), server_(std::move(server)) {}
  [[nodiscard]] Result<> plug(const NetworkNamespace& host, const std::string& link);

  NetworkNamespace client_, here_, server_;
  std::vector<std::string> links_{};  // that are there, in the order in which they were made
};

}  // namespace limpid
