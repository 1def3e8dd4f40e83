// SPDX-License-Identifier: MIT
// From the options of `limpid rules` to a plan, with every error at its option.
#include <algorithm>
#include <array>
#include <charconv>

#include "base/ascii.h"
#include "cli/rules_command.h"
#include "config/load.h"
#include "config/value.h"
#include "daemon/account.h"

namespace limpid {
namespace {

Result<> check_name(const std::string& name) {
  const auto is_allowed = [](char byte) { return is_letter(byte) || is_digit(byte) || byte == '_' || byte == '-'; };
  if (name.empty() || name.size() > longest_rules_name || !std::ranges::all_of(name, is_allowed))
    return failure(
        fmt::format("\"{}\" is not a name of rules: 1 to {} letters, digits, '_' and '-'", name, longest_rules_name));
  return {};
}

Result<std::uint16_t> parse_port(const std::string& text) {
  if (text.empty()) return failure("say which port the proxy listens on, like --port 3129");
  const Result<PortRange> range = PortRange::parse(text);
  if (!range) return std::unexpected(range.error());
  if (range->first != range->last)
    return failure(fmt::format("\"{}\" is a range: the proxy listens on one port", text));
  return range->first;
}

Result<uid_t> parse_account(const std::string& text) {
  uid_t uid = 0;
  const auto [end, refusal] = std::from_chars(text.data(), text.data() + text.size(), uid);
  if (refusal == std::errc() && end == text.data() + text.size()) return uid;
  const Result<std::optional<Account>> account = find_account(text);
  if (!account) return std::unexpected(account.error());
  if (!*account) return failure(fmt::format("there is no user \"{}\"", text));
  return (*account)->uid;
}

// What one option says, or an error at its name.
class Reader {
 public:
  template <class Value>
  Value read(std::string_view option, const Result<Value>& value) {
    if (value) return *value;
    refuse(option, value.error().what);
    return {};
  }
  void check(std::string_view option, const Result<>& result) {
    if (!result) refuse(option, result.error().what);
  }
  void refuse(std::string_view option, std::string what) {
    errors_.push_back({.place = {.name = std::string(option)}, .message = std::move(what)});
  }
  ConfigErrors errors_;
};

void read_listeners(const RulesOptions& options, Plan& plan, Reader& reader) {
  if (!options.ipv4 && !options.ipv6) reader.refuse("--ipv4", "neither family is left: leave one of them on");
  const auto port = reader.read("--port", parse_port(options.port));
  plan.ports = {.ipv4 = options.ipv4 ? port : std::uint16_t{0}, .ipv6 = options.ipv6 ? port : std::uint16_t{0}};
  std::array<int, 2> given{};
  for (const std::string& text : options.listen) {
    const Result<Address> address = Address::parse(text);
    if (!address) {
      reader.refuse("--listen", address.error().what);
      continue;
    }
    const bool is_ipv4 = address->family() == AF_INET;
    if (++given[is_ipv4 ? 0 : 1] > 1) reader.refuse("--listen", "one address a family: " + text + " is another");
    if (!(is_ipv4 ? options.ipv4 : options.ipv6))
      reader.refuse("--listen",
                    fmt::format("{} is of {}, which is switched off", text, family_name(address->family())));
    // One that listens everywhere is found on the loopback address as well, whatever addresses come and go.
    if (!address->is_any()) (is_ipv4 ? plan.listen4 : plan.listen6) = *address;
  }
}

GivenNumbers numbers_of(const Overrides& overrides, const Intercept& settings) {
  const auto has = [&](std::string_view path) {
    return std::ranges::any_of(overrides, [path](const Override& one) { return one.key->path == path; });
  };
  GivenNumbers given;
  if (has("intercept.mark")) given.mark = settings.mark;
  if (has("intercept.local_mark")) given.local_mark = settings.local_mark;
  if (has("intercept.table")) given.table = settings.table;
  if (has("intercept.priority")) given.priority = settings.priority;
  return given;
}

}  // namespace

std::expected<RulesRequest, ConfigErrors> rules_request(const RulesOptions& options) {
  RulesRequest request;
  Reader reader;
  Plan& plan = request.plan;
  const Overrides overrides = options.keys.overrides();
  if (auto config = load_config(std::nullopt, overrides))
    plan.settings = config->intercept;
  else
    reader.errors_ = std::move(config).error();
  reader.check("NAME", check_name(options.name));
  plan.whose.name = options.name;
  read_listeners(options, plan, reader);
  plan.worker_uid.reset();
  if (!options.user.empty()) plan.worker_uid = reader.read("--user", parse_account(options.user));
  request.start_timeout = reader.read("--start-timeout", parse_timeout(options.start_timeout));
  request.given = numbers_of(overrides, plan.settings);
  if (!reader.errors_.empty()) return std::unexpected(std::move(reader.errors_));
  return request;
}

}  // namespace limpid
