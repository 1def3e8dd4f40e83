// SPDX-License-Identifier: MIT
#include "proxy/dns_watch.h"

namespace limpid {
namespace {

// What a response must repeat, but for the client's address. The name as it was written: clients vary the case of its
// letters so that others cannot guess it.
std::string what_was_asked(const Flow& flow, const DnsQuestion& question) {
  return fmt::format("{} {} {} {} {}", flow.client.port, flow.destination.text(), question.id, question.type,
                     question.name);
}

}  // namespace

void DnsWatch::see_query(const Flow& flow, Bytes message, DnsAnswers::Clock::time_point now) {
  const std::optional<DnsQuestion> question = read_dns_question(message, DnsMessage::query);
  if (!question) return;
  asked_.at(flow.client.address, what_was_asked(flow, *question), [](auto) {}) = now;
}

void DnsWatch::see_response(const Flow& flow, Bytes message, std::chrono::milliseconds grace,
                            DnsAnswers::Clock::time_point now) {
  const std::optional<DnsQuestion> question = read_dns_question(message, DnsMessage::response);
  if (!question) return;
  const std::string asked = what_was_asked(flow, *question);
  const DnsAnswers::Clock::time_point* const when = asked_.find(flow.client.address, asked);
  const bool counts = when != nullptr && now - *when <= answered_within;
  if (when != nullptr) asked_.erase(flow.client.address, asked);
  if (!counts) return counters_.dns_ignored.add(1);
  counters_.dns_answers.add(1);
  const std::vector<DnsAddress> addresses = read_dns_addresses(message, *question);
  if (addresses.empty()) return;
  if (!answers_.learn(flow.client.address, question->host(), addresses, grace, now)) counters_.dns_evicted.add(1);
}

}  // namespace limpid
