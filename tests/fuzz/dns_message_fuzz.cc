// SPDX-License-Identifier: MIT
// DNS messages: whatever they are, what is read of them is a host's name and no more addresses than records are looked
// at, all of the family that was asked for. Input: a message, read as a query and as a response.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "protocol/dns_message.h"
#include "protocol/request.h"

namespace limpid {
namespace {

void check_message(Bytes message) {
  const std::optional<DnsQuestion> query = read_dns_question(message, DnsMessage::query);
  const std::optional<DnsQuestion> response = read_dns_question(message, DnsMessage::response);
  CHECK(!query || !response);
  for (const auto& question : {query, response}) {
    if (!question) continue;
    CHECK(is_host_name(question->name) && question->name.size() <= 253);
    const std::vector<DnsAddress> addresses = read_dns_addresses(message, *question);
    CHECK(addresses.size() <= (response ? most_dns_records : 0));
    for (const DnsAddress& one : addresses) {
      CHECK(one.ttl.count() >= 0 && one.ttl.count() <= 0x7fffffff);
      CHECK((one.address.family() == AF_INET) == (question->type == 1));
    }
  }
}

}  // namespace
}  // namespace limpid

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  limpid::check_message({data, size});
  return 0;
}
