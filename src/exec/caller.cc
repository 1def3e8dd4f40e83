// SPDX-License-Identifier: MIT
#include "exec/caller.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <string_view>

namespace limpid {
namespace {

constexpr unsigned of_a_thread = O_EXCL;  // PIDFD_THREAD, newer than Debian 12's headers

std::expected<Fd, int> open_pidfd(pid_t pid, unsigned flags) {
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, flags)));
  if (!fd.is_open()) return std::unexpected(errno);
  return fd;
}

// The number behind `key` in a text like that of /proc/PID/status; 0 if there is none.
pid_t number_behind(std::string_view key, std::string_view text) {
  const std::size_t place = text.find(key);
  if (place == std::string_view::npos) return 0;
  text.remove_prefix(place + key.size());
  pid_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

std::expected<Fd, int> open_thread(pid_t thread) { return open_pidfd(thread, of_a_thread); }

std::expected<Fd, int> open_process_of(pid_t thread) {
  const Fd status(::open(fmt::format("/proc/{}/status", thread).c_str(), O_RDONLY | O_CLOEXEC));
  if (!status.is_open()) return std::unexpected(errno == ENOENT ? ESRCH : errno);
  std::array<char, 4096> text;  // what is looked for is among the first lines
  const ssize_t size = ::read(status.raw(), text.data(), text.size());
  if (size < 0) return std::unexpected(errno);
  const pid_t process = number_behind("\nTgid:\t", {text.data(), static_cast<std::size_t>(size)});
  if (process == 0) return std::unexpected(ESRCH);
  return open_pidfd(process, 0);
}

std::expected<Fd, int> take_descriptor(const Fd& pidfd, int number) {
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.raw(), number, 0)));
  if (!fd.is_open()) return std::unexpected(errno);
  return fd;
}

int read_memory(pid_t thread, std::uint64_t address, std::span<std::byte> into) {
  const iovec here{.iov_base = into.data(), .iov_len = into.size()};
  const iovec there{.iov_base = std::bit_cast<void*>(address), .iov_len = into.size()};
  const ssize_t size = ::process_vm_readv(thread, &here, 1, &there, 1, 0);
  if (size < 0) return errno;
  return static_cast<std::size_t>(size) == into.size() ? 0 : EFAULT;
}

}  // namespace limpid
