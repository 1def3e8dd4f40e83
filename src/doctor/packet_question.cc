// SPDX-License-Identifier: MIT
#include "doctor/packet_question.h"

#include <sstream>
#include <vector>

#include "config/value.h"

namespace limpid {

Result<PacketQuestion> PacketQuestion::parse(std::string_view text) {
  std::istringstream stream{std::string(text)};
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  if (words.size() != 6 || words[2] != "->" || words[4] != "on")
    return failure(
        "a packet is written 'tcp CLIENT:PORT -> DESTINATION:PORT on INTERFACE' (or udp; on lo: one that this "
        "machine sends)");
  PacketQuestion question;
  const Result<Protocol> proto = parse_proto(words[0]);
  if (!proto) return failure_in(words[0], proto);
  const Result<Endpoint> client = Endpoint::parse(words[1]), destination = Endpoint::parse(words[3]);
  if (!client) return failure_in(words[1], client);
  if (!destination) return failure_in(words[3], destination);
  if (client->family() != destination->family())
    return failure(words[3] + ": a packet has both ends in IPv4, or both in IPv6");
  if (words[5] != "lo")
    if (const Result<std::string> interface = parse_interface(words[5]); !interface || interface->ends_with('*'))
      return failure(words[5] + ": the name of one interface is wanted");
  return PacketQuestion{*proto, {*client, *destination}, words[5]};
}

std::string PacketQuestion::text() const {
  return fmt::format("{} {} -> {} on {}", value_text(proto), flow.client.text(), flow.destination.text(), interface);
}

}  // namespace limpid
