// SPDX-License-Identifier: MIT
#include "config/load.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "base/fd.h"
#include "policy/host_file.h"
#include "policy/host_table.h"

namespace limpid {
namespace {

constexpr std::size_t largest_config = 16 << 20;      // far above ten thousand rules, far below /dev/zero
constexpr std::size_t largest_host_file = 256 << 20;  // likewise, of ten million names
constexpr std::size_t largest_password_file = 4096;

Result<std::string> read_text(const Fd& file, std::size_t largest) {
  if (!file.is_open()) return errno_failure("open", errno);
  std::string text;
  char buffer[16384];
  while (true) {
    const ssize_t count = ::read(file.raw(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_failure("read", errno);
    if (count == 0) return text;
    text.append(buffer, static_cast<std::size_t>(count));
    if (text.size() > largest) return failure(fmt::format("larger than {} bytes", largest));
  }
}

Fd open_to_read(const std::string& path) { return Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)); }

// The first line of a file that nobody but its owner, who is root or ourselves, may read or write.
Result<std::string> read_password(const std::string& path) {
  const Fd file = open_to_read(path);
  struct stat status{};
  if (file.is_open() && ::fstat(file.raw(), &status) != 0) return errno_failure("fstat", errno);
  if (file.is_open() && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return failure(fmt::format("others may read or write it (mode {:04o}): chmod 600", status.st_mode & 07777));
  if (file.is_open() && status.st_uid != 0 && status.st_uid != ::geteuid())
    return failure(fmt::format("it belongs to uid {}, who is neither root nor who runs limpid", status.st_uid));
  Result<std::string> text = read_text(file, largest_password_file);
  if (!text) return text;
  std::string password = text->substr(0, text->find_first_of("\r\n"));
  if (password.empty() || password.size() > 255)  // RFC 1929, section 2
    return failure("a password has 1 to 255 bytes, in the first line");
  return password;
}

// What the settings name of other files, put into them.
void read_named_files(Settings& settings) {
  const auto refuse = [&](const std::string& origin, const std::string& path, const Error& error) {
    settings.errors.push_back({settings.origins.place_of(origin), fmt::format("{}: {}", path, error.what)});
  };
  for (std::size_t place = 0; place < settings.config.rules.size(); ++place) {
    Rule& rule = settings.config.rules[place];
    if (rule.host_file.empty()) continue;
    const std::string origin = entry_origin("rule", place) + ".host_file";
    Result<std::string> text = read_text(open_to_read(rule.host_file), largest_host_file);
    if (!text) {
      refuse(origin, rule.host_file, text.error());
      continue;
    }
    const HostFileErrors wrong = read_host_file(*text, [](std::string_view name) -> Result<> {
      const Result<std::string> pattern = parse_host_pattern(name);
      return pattern ? Result<>() : std::unexpected(pattern.error());
    });
    const auto refuse_name = [&](const HostFileError& error, std::string what) {
      settings.errors.push_back(
          {{rule.host_file, static_cast<unsigned>(error.line), static_cast<unsigned>(error.column)}, std::move(what)});
    };
    for (const HostFileError& error : wrong.first) refuse_name(error, error.what);
    if (wrong.more > 0) refuse_name(wrong.first.back(), fmt::format("and {} errors more behind it", wrong.more));
    rule.host_names = *std::move(text);
  }
  for (std::size_t place = 0; place < settings.config.upstreams.size(); ++place) {
    Upstream& upstream = settings.config.upstreams[place];
    if (upstream.password_file.empty()) continue;
    Result<std::string> password = read_password(upstream.password_file);
    if (password)
      upstream.password = *std::move(password);
    else
      refuse(entry_origin("upstream", place) + ".password_file", upstream.password_file, password.error());
  }
}

}  // namespace

std::expected<Config, ConfigErrors> load_config(const std::optional<std::string>& path, const Overrides& overrides) {
  if (!path) return parse_config("", "", overrides);
  const Result<std::string> text = read_text(open_to_read(*path), largest_config);
  if (!text)
    return std::unexpected(ConfigErrors{
        {SourcePlace{*path},
         fmt::format("{}: name a configuration file that can be read with --config, or leave it out and say all on the "
                     "command line",
                     text.error().what)}});
  return load_config_text(*text, *path, overrides);
}

std::expected<Config, ConfigErrors> load_config_text(const std::string& text, const std::string& name,
                                                     const Overrides& overrides) {
  Settings settings = read_settings(text, name, overrides);
  read_named_files(settings);
  return judge(std::move(settings));
}

}  // namespace limpid
