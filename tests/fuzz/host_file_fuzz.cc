// SPDX-License-Identifier: MIT
// Lists of hosts: whatever the file holds, each error has its place, and the table built of it answers as a
// plain comparison of texts does. Input: the seed's first byte; the file; after a zero byte, hosts to look up, a line
// each.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "policy/host_file.h"
#include "policy/host_table.h"

namespace limpid {
namespace {

bool matches(std::string_view pattern, std::string_view host) {
  return pattern.starts_with('*') ? host.ends_with(pattern.substr(1)) : host == pattern;
}

// Each pattern has a number of its own, from 1.
void check_lookup(const HostTable& table, const std::vector<std::string>& patterns, std::string_view host) {
  std::vector<bool> told(table.size() + 1);
  table.match(host, [&](std::uint32_t number) {
    CHECK(number > 0 && !told[number]);
    told[number] = true;
  });
  const auto matching = [host](const std::string& pattern) { return matches(pattern, host); };
  const std::set<std::string> different(patterns.begin(), patterns.end());
  CHECK(std::ranges::count(told, true) == std::ranges::count_if(different, matching));
}

void check_file(std::uint8_t seed, std::string_view text, std::string_view hosts) {
  HostTable table({seed, 0});
  std::vector<std::string> patterns;
  const HostFileErrors errors = read_host_file(text, [&](std::string_view name) -> Result<> {
    const Result<std::string> pattern = parse_host_pattern(name);
    const Result<std::uint32_t*> added = table.at(name);
    CHECK(added.has_value() == pattern.has_value());
    if (added && **added == 0) **added = static_cast<std::uint32_t>(table.size());
    if (!pattern) return std::unexpected(pattern.error());
    CHECK(parse_host_pattern(*pattern) == *pattern);
    patterns.push_back(*pattern);
    return {};
  });
  CHECK(table.size() <= patterns.size());
  for (const HostFileError& error : errors.first) CHECK(error.line > 0 && error.column > 0 && !error.what.empty());

  for (const std::string& pattern : patterns) {
    const std::string_view name = std::string_view(pattern).substr(pattern.starts_with('*') ? 2 : 0);
    check_lookup(table, patterns, name);
    check_lookup(table, patterns, name.substr(1));
    check_lookup(table, patterns, "a." + std::string(name));
    check_lookup(table, patterns, "a" + std::string(name));
  }
  while (!hosts.empty()) {
    const std::string_view host = hosts.substr(0, hosts.find('\n'));
    check_lookup(table, patterns, host);
    hosts.remove_prefix(std::min(hosts.size(), host.size() + 1));
  }
}

}  // namespace
}  // namespace limpid

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t end = std::min(input.size(), input.find('\0'));
  limpid::check_file(*data, input.substr(0, end), input.substr(std::min(input.size(), end + 1)));
  return 0;
}
