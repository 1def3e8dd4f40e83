// SPDX-License-Identifier: MIT
#include "daemon/own_cgroup.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace limpid {

std::optional<Cgroup> find_own_cgroup(Nft& nft) {
  std::string line;
  std::string path;
  // cgroups(7): the entry of version 2 is "0::/path".
  for (std::ifstream file("/proc/self/cgroup"); std::getline(file, line);)
    if (line.starts_with("0::/")) path = line.substr(4);
  if (path.empty() || path.find('"') != std::string::npos) return std::nullopt;

  // A shell's cgroup holds the very programs whose connections are wanted.
  std::ifstream members("/sys/fs/cgroup/" + path + "/cgroup.procs");
  while (std::getline(members, line))
    if (line != std::to_string(::getpid())) return std::nullopt;

  const Cgroup cgroup{path, static_cast<int>(std::ranges::count(path, '/')) + 1};
  const bool understood =
      nft.check(fmt::format("table inet limpid_test {{ chain test {{ socket cgroupv2 level {} \"{}\" return\n }} }}\n",
                            cgroup.level, cgroup.path))
          .has_value();
  return understood ? std::optional(cgroup) : std::nullopt;
}

}  // namespace limpid
