// SPDX-License-Identifier: MIT
// Which addresses a name has, as each client's own DNS answers have told it. All path threads share it: the one with
// UDP learns, whoever verifies a host asks. It outlives a reload, but not its process.
#pragma once
#include <chrono>
#include <mutex>
#include <span>
#include <vector>

#include "protocol/dns_message.h"
#include "proxy/client_table.h"

namespace limpid {

class DnsAnswers {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr ClientTableLimits names{.entries = 32768, .entries_per_client = 2048};
  static constexpr std::size_t most_addresses = 32;  // of a name: that which is over first goes
  // No answer is good for longer, whatever it says.
  static constexpr std::chrono::seconds longest_ttl = std::chrono::days(1);

  explicit DnsAnswers(const ClientTableLimits& limits = names) : known_(limits) {}

  // `host` in lower case. Each address is good for its TTL and `grace` more. False: another name that was still good
  // had to go for it.
  bool learn(const Address& client, std::string_view host, std::span<const DnsAddress> addresses,
             std::chrono::milliseconds grace, Clock::time_point now);
  [[nodiscard]] bool has(const Address& client, std::string_view host, const Address& destination,
                         Clock::time_point now);
  [[nodiscard]] std::size_t size() const;  // names, those that are over included until they have to go

 private:
  struct Known {
    Address address;
    Clock::time_point until;
  };

  mutable std::mutex mutex_;
  ClientTable<std::vector<Known>> known_;
};

}  // namespace limpid
