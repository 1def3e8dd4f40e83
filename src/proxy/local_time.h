// SPDX-License-Identifier: MIT
// The time of day where this machine is, asked for once a second at the most.
#pragma once
#include <chrono>
#include <ctime>

namespace limpid {

class LocalTime {
 public:
  // Since midnight. `now`: any steady time that goes on. tzset(3) must have been called.
  [[nodiscard]] std::chrono::minutes minute(std::chrono::steady_clock::time_point now) const {
    if (now < good_until_) return minute_;
    const std::time_t time = std::time(nullptr);
    std::tm local{};
    ::localtime_r(&time, &local);
    minute_ = std::chrono::hours(local.tm_hour) + std::chrono::minutes(local.tm_min);
    good_until_ = now + std::chrono::seconds(1);
    return minute_;
  }

 private:
  mutable std::chrono::minutes minute_{};
  mutable std::chrono::steady_clock::time_point good_until_{};
};

}  // namespace limpid
