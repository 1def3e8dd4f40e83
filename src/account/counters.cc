// SPDX-License-Identifier: MIT
#include "account/counters.h"

namespace limpid {

CounterValues& CounterValues::operator+=(const CounterValues& other) {
  sessions += other.sessions;
  accepted += other.accepted;
  source_port_kept += other.source_port_kept;
  source_address_kept += other.source_address_kept;
  source_not_kept += other.source_not_kept;
  port_unavailable += other.port_unavailable;
  address_unavailable += other.address_unavailable;
  bytes_up += other.bytes_up;
  bytes_down += other.bytes_down;
  log_lines_lost += other.log_lines_lost;
  accept_pauses += other.accept_pauses;
  flows += other.flows;
  flows_seen += other.flows_seen;
  datagrams_up += other.datagrams_up;
  datagrams_down += other.datagrams_down;
  payload_up += other.payload_up;
  payload_down += other.payload_down;
  evicted_table += other.evicted_table;
  evicted_client += other.evicted_client;
  send_refused += other.send_refused;
  answers_refused += other.answers_refused;
  datagrams_dropped += other.datagrams_dropped;
  dns_names += other.dns_names;
  dns_answers += other.dns_answers;
  dns_ignored += other.dns_ignored;
  dns_evicted += other.dns_evicted;
  for (std::size_t i = 0; i < close_reasons; ++i) closed[i] += other.closed[i];
  return *this;
}

CounterValues Counters::values() const {
  CounterValues values{.sessions = sessions.value(),
                       .accepted = accepted.value(),
                       .source_port_kept = source_port_kept.value(),
                       .source_address_kept = source_address_kept.value(),
                       .source_not_kept = source_not_kept.value(),
                       .port_unavailable = port_unavailable.value(),
                       .address_unavailable = address_unavailable.value(),
                       .bytes_up = bytes_up.value(),
                       .bytes_down = bytes_down.value(),
                       .log_lines_lost = log_lines_lost.value(),
                       .accept_pauses = accept_pauses.value(),
                       .closed = {},
                       .flows = flows.value(),
                       .flows_seen = flows_seen.value(),
                       .datagrams_up = datagrams_up.value(),
                       .datagrams_down = datagrams_down.value(),
                       .payload_up = payload_up.value(),
                       .payload_down = payload_down.value(),
                       .evicted_table = evicted_table.value(),
                       .evicted_client = evicted_client.value(),
                       .send_refused = send_refused.value(),
                       .answers_refused = answers_refused.value(),
                       .datagrams_dropped = datagrams_dropped.value(),
                       .dns_answers = dns_answers.value(),
                       .dns_ignored = dns_ignored.value(),
                       .dns_evicted = dns_evicted.value()};
  for (std::size_t i = 0; i < close_reasons; ++i) values.closed[i] = closed[i].value();
  return values;
}

}  // namespace limpid
