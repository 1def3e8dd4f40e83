// SPDX-License-Identifier: MIT
#include "doctor/owner.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/ascii.h"
#include "net/proc.h"

namespace limpid {
namespace {

namespace fs = std::filesystem;

bool has_socket(const fs::path& process, const std::string& wanted) {
  std::error_code gone;  // a process may end meanwhile, and others may not be looked into
  for (fs::directory_iterator entry(process / "fd", gone), end; !gone && entry != end; entry.increment(gone)) {
    std::error_code closed;
    if (fs::read_symlink(entry->path(), closed) == wanted && !closed) return true;
  }
  return false;
}

}  // namespace

std::string program_with_socket(std::uint32_t inode) {
  const std::string wanted = fmt::format("socket:[{}]", inode);
  std::error_code gone;
  for (fs::directory_iterator entry("/proc", gone), end; !gone && entry != end; entry.increment(gone)) {
    const std::string pid = entry->path().filename();
    if (!std::ranges::all_of(pid, is_digit)) continue;
    if (!has_socket(entry->path(), wanted)) continue;
    std::string name = proc_text(entry->path() / "comm").value_or("");
    while (!name.empty() && name.back() == '\n') name.pop_back();
    return fmt::format("{} (pid {})", name, pid);
  }
  return {};
}

}  // namespace limpid
