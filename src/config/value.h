// SPDX-License-Identifier: MIT
// One value of the configuration and its text, both ways: the same text in a file and on the command line. What can be
// judged by the value alone is judged here; what takes several keys to judge is in check.h.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "config/config.h"

namespace limpid {

Result<bool> parse_flag(std::string_view text);
Result<WithoutUs> parse_without_us(std::string_view text);
Result<Source> parse_source(std::string_view text);
Result<KeepPort> parse_keep_port(std::string_view text);
Result<Handover> parse_handover(std::string_view text);
Result<LogLevel> parse_log_level(std::string_view text);

// A name as the kernel allows it (dev_valid_name()) and nft(8) can quote it; may end in '*'; never the loopback device.
Result<std::string> parse_interface(std::string_view text);
// "80", "8000-8999" or "all".
Result<PortRange> parse_ports(std::string_view text);
// Any number but the kernel's own tables: unspec, default, main and local (ip-route(8)).
Result<std::uint32_t> parse_table(std::string_view text);
// Such that the rules next to it fit in as well, all before the main table's, 32766 (ip-rule(8)).
Result<std::uint32_t> parse_priority(std::string_view text);
Result<std::uint64_t> parse_sessions(std::string_view text);
Result<std::uint64_t> parse_flows(std::string_view text);  // 1 to a million: each takes memory
// "500ms", "10s", "10m", "2h", "1d": longer than nothing and at most 365 days.
Result<std::chrono::milliseconds> parse_timeout(std::string_view text);
// The same, or "0s".
Result<std::chrono::milliseconds> parse_check_interval(std::string_view text);
// A timeout of at most a minute: what waits that long takes memory.
Result<std::chrono::milliseconds> parse_identify_timeout(std::string_view text);
// An absolute path, "stdout" or "off".
Result<std::string> parse_access(std::string_view text);
// The name of an account, which need not exist. Not root, not nobody (shared by others), not a number.
Result<std::string> parse_user(std::string_view text);

Result<std::string> parse_name(std::string_view text);  // of a rule, an upstream or a listener: goes into logs as it is
Result<std::string> parse_username(std::string_view text);  // 1 to 255 bytes (RFC 1929, section 2), without ':'
Result<std::string> parse_path(std::string_view text);      // an absolute one
Result<Protocol> parse_proto(std::string_view text);
Result<Application> parse_app(std::string_view text);
Result<DayPart> parse_day_part(std::string_view text);  // "22:00-06:00"
Result<UpstreamType> parse_upstream_type(std::string_view text);
Result<Send> parse_send(std::string_view text);
Result<ProxyProtocol> parse_proxy_protocol(std::string_view text);
Result<WhenDown> parse_when_down(std::string_view text);
Result<UpstreamCheck> parse_check(std::string_view text);
Result<Hash> parse_hash(std::string_view text);
Result<Accept> parse_accept(std::string_view text);

std::string value_text(bool value);
std::string value_text(WithoutUs value);
std::string value_text(Source value);
std::string value_text(KeepPort value);
std::string value_text(Handover value);
std::string value_text(LogLevel value);
std::string value_text(std::uint32_t value);
std::string value_text(std::uint64_t value);
std::string value_text(std::chrono::milliseconds value);
std::string value_text(const std::string& value);
std::string value_text(const PortRange& value);
std::string value_text(const Prefix& value);
std::string value_text(const Mark& value);
std::string value_text(const Endpoint& value);
std::string value_text(Protocol value);
std::string value_text(Application value);
std::string value_text(const DayPart& value);
std::string value_text(UpstreamType value);
std::string value_text(Send value);
std::string value_text(ProxyProtocol value);
std::string value_text(WhenDown value);
std::string value_text(UpstreamCheck value);
std::string value_text(Hash value);
std::string value_text(Accept value);

// Whether TOML can hold it in one line: UTF-8 without control characters.
[[nodiscard]] bool is_plain_text(std::string_view text);

}  // namespace limpid
