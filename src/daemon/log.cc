// SPDX-License-Identifier: MIT
#include "daemon/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace limpid {

void set_log_level(LogLevel level) {
  constexpr spdlog::level::level_enum levels[] = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                                                  spdlog::level::err};
  spdlog::default_logger()->set_level(levels[static_cast<int>(level)]);
}

void log_to_stderr(LogLevel level) {
  auto logger = spdlog::stderr_logger_st("limpid");
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
  spdlog::set_default_logger(std::move(logger));
  set_log_level(level);
}

}  // namespace limpid
