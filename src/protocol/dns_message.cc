// SPDX-License-Identifier: MIT
#include "protocol/dns_message.h"

#include <arpa/nameser.h>

#include <algorithm>
#include <array>

#include "protocol/request.h"

namespace limpid {
namespace {

// CNAMEs on the way to an address: a loop of them ends here too.
constexpr int longest_chain = 16;

struct DnsAlias {
  std::string owner, target;
  std::chrono::seconds ttl;
};

struct DnsOwned {
  std::string owner;
  DnsAddress address;
};

std::optional<ns_msg> parse_dns(Bytes bytes, DnsMessage kind) {
  ns_msg message;
  if (bytes.size() > most_dns_bytes) return std::nullopt;
  if (ns_initparse(bytes.data(), static_cast<int>(bytes.size()), &message) != 0) return std::nullopt;
  const bool is_response = ns_msg_getflag(message, ns_f_qr) != 0;
  if (is_response != (kind == DnsMessage::response)) return std::nullopt;
  if (ns_msg_getflag(message, ns_f_opcode) != ns_o_query) return std::nullopt;
  return message;
}

std::string lower_case(std::string text) {
  for (char& letter : text)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return text;
}

std::chrono::seconds ttl_of(const ns_rr& record) {
  const std::uint32_t ttl = ns_rr_ttl(record);
  return std::chrono::seconds(ttl > 0x7fffffff ? 0 : ttl);
}

std::optional<std::string> alias_target(const ns_msg& message, const ns_rr& record) {
  std::array<char, NS_MAXDNAME> name;
  const int size =
      ns_name_uncompress(ns_msg_base(message), ns_msg_end(message), ns_rr_rdata(record), name.data(), name.size());
  if (size < 0 || size != ns_rr_rdlen(record)) return std::nullopt;
  return lower_case(name.data());
}

}  // namespace

std::string DnsQuestion::host() const { return lower_case(name); }

std::optional<DnsQuestion> read_dns_question(Bytes message, DnsMessage kind) {
  std::optional<ns_msg> parsed = parse_dns(message, kind);
  ns_rr record;
  if (!parsed || ns_msg_count(*parsed, ns_s_qd) != 1 || ns_parserr(&*parsed, ns_s_qd, 0, &record) != 0)
    return std::nullopt;
  const auto type = static_cast<std::uint16_t>(ns_rr_type(record));
  if (ns_rr_class(record) != ns_c_in || (type != ns_t_a && type != ns_t_aaaa)) return std::nullopt;
  DnsQuestion question{.id = static_cast<std::uint16_t>(ns_msg_id(*parsed)), .type = type, .name = ns_rr_name(record)};
  if (!is_host_name(question.name)) return std::nullopt;
  return question;
}

std::vector<DnsAddress> read_dns_addresses(Bytes response, const DnsQuestion& question) {
  std::optional<ns_msg> parsed = parse_dns(response, DnsMessage::response);
  if (!parsed || ns_msg_getflag(*parsed, ns_f_rcode) != ns_r_noerror) return {};

  std::vector<DnsAlias> aliases;
  std::vector<DnsOwned> owned;
  const int count = std::min<int>(ns_msg_count(*parsed, ns_s_an), most_dns_records);
  for (int place = 0; place < count; ++place) {
    ns_rr record;
    if (ns_parserr(&*parsed, ns_s_an, place, &record) != 0) return {};
    if (ns_rr_class(record) != ns_c_in) continue;
    const int type = ns_rr_type(record);
    const int family = question.type == ns_t_a ? AF_INET : AF_INET6;
    const int size = family == AF_INET ? NS_INADDRSZ : NS_IN6ADDRSZ;
    if (type == ns_t_cname) {
      std::optional<std::string> target = alias_target(*parsed, record);
      if (!target) return {};
      aliases.push_back({lower_case(ns_rr_name(record)), *std::move(target), ttl_of(record)});
    } else if (type == question.type && ns_rr_rdlen(record) == size) {
      owned.push_back(
          {lower_case(ns_rr_name(record)), {Address::from_bytes(family, ns_rr_rdata(record)), ttl_of(record)}});
    }
  }

  std::string name = question.host();
  std::chrono::seconds ttl = std::chrono::seconds::max();
  for (int step = 0; step <= longest_chain; ++step) {
    const auto alias = std::ranges::find(aliases, name, &DnsAlias::owner);
    if (alias == aliases.end()) {
      std::vector<DnsAddress> addresses;
      for (const auto& [owner, one] : owned)
        if (owner == name) addresses.push_back({one.address, std::min(ttl, one.ttl)});
      return addresses;
    }
    ttl = std::min(ttl, alias->ttl);
    name = alias->target;
  }
  return {};
}

}  // namespace limpid
