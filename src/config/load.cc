// SPDX-License-Identifier: MIT
#include "config/load.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "base/fd.h"

namespace limpid {
namespace {

constexpr std::size_t largest_file = 1 << 20;  // far above any list of ports and prefixes, far below /dev/zero

Result<std::string> read_text(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return errno_failure("open", errno);
  std::string text;
  char buffer[16384];
  while (true) {
    const ssize_t count = ::read(file.raw(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_failure("read", errno);
    if (count == 0) return text;
    text.append(buffer, static_cast<std::size_t>(count));
    if (text.size() > largest_file) return failure("larger than 1 MiB");
  }
}

}  // namespace

std::expected<Config, ConfigErrors> load_config(const std::optional<std::string>& path, const Overrides& overrides) {
  if (!path) return parse_config("", "", overrides);
  const Result<std::string> text = read_text(*path);
  if (text) return parse_config(*text, *path, overrides);
  return std::unexpected(ConfigErrors{
      {SourcePlace{*path},
       fmt::format("{}: name a configuration file that can be read with --config, or leave it out and say all on the "
                   "command line",
                   text.error().what)}});
}

}  // namespace limpid
