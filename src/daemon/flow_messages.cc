// SPDX-License-Identifier: MIT
#include "daemon/flow_messages.h"

#include <algorithm>
#include <cstring>

namespace limpid {
namespace {

// Before the names, host and rule.
struct AccountHead {
  Flow ends;
  std::chrono::system_clock::time_point time;
  Carried up, down;
  std::uint32_t rule_place = 0;
  std::uint8_t app = 0;  // one more than its number; 0: none
  std::uint8_t host_size = 0, rule_size = 0;
};
static_assert(std::is_trivially_copyable_v<AccountHead>);

constexpr std::size_t longest_name = 255;

bool is_name(std::string_view text) {
  return std::ranges::none_of(text, [](char byte) {
    return static_cast<unsigned char>(byte) < ' ' || byte == '"' || byte == '\\' || byte == '\x7f';
  });
}

}  // namespace

PackedAccounts pack_accounts(std::span<const FlowAccount> accounts, std::size_t room) {
  PackedAccounts packed;
  for (const FlowAccount& account : accounts) {
    const std::string_view host = std::string_view(account.label.host).substr(0, longest_name);
    const std::string_view rule = std::string_view(account.label.rule).substr(0, longest_name);
    const std::size_t size = sizeof(AccountHead) + host.size() + rule.size();
    if (packed.count > 0 && packed.body.size() + size > room) break;
    AccountHead head{};
    head.ends = account.ends;
    head.time = account.time;
    head.up = account.up;
    head.down = account.down;
    head.rule_place = account.label.rule_place;
    if (account.label.app) head.app = static_cast<std::uint8_t>(static_cast<std::size_t>(*account.label.app) + 1);
    head.host_size = static_cast<std::uint8_t>(host.size());
    head.rule_size = static_cast<std::uint8_t>(rule.size());
    packed.body.append(reinterpret_cast<const char*>(&head), sizeof head).append(host).append(rule);
    ++packed.count;
  }
  return packed;
}

Result<std::vector<FlowAccount>> unpack_accounts(std::string_view body) {
  std::vector<FlowAccount> accounts;
  while (!body.empty()) {
    AccountHead head;
    if (body.size() < sizeof head) return failure("a flow's account ends too early");
    std::memcpy(&head, body.data(), sizeof head);
    body.remove_prefix(sizeof head);
    if (body.size() < std::size_t{head.host_size} + head.rule_size || head.app > applications)
      return failure("a flow's account is broken");
    const std::string_view host = body.substr(0, head.host_size), rule = body.substr(head.host_size, head.rule_size);
    if (!is_name(host) || !is_name(rule)) return failure("a flow's account has a name that is none");
    body.remove_prefix(host.size() + rule.size());
    FlowLabel label{.app = {}, .host = std::string(host), .rule = std::string(rule), .rule_place = head.rule_place};
    if (head.app > 0) label.app = static_cast<Application>(head.app - 1);
    accounts.push_back({head.ends, head.time, head.up, head.down, std::move(label)});
  }
  return accounts;
}

}  // namespace limpid
