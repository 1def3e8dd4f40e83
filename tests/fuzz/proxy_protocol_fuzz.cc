// SPDX-License-Identifier: MIT
// The PROXY protocol: whatever a load balancer sends, the answer does not depend on how it is cut or on what follows
// the header, and a connection that was read is written and read back as the same.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "protocol/in_pieces.h"
#include "protocol/proxy_protocol.h"

namespace limpid {
namespace {

void check_reads_as(const std::vector<std::uint8_t>& header, const ProxiedConnection& connection) {
  ProxyHeaderReader reader;
  const Step step = reader.take(header);
  CHECK(step.next == Step::Next::done && step.consumed == header.size());
  CHECK(reader.connection() == connection);
}

void check_answer(Bytes input) {
  if (outcome_of([] { return ProxyHeaderReader(); }, input).next != Step::Next::done) return;
  ProxyHeaderReader reader;
  reader.take(input);
  if (!reader.connection()) return;
  check_reads_as(proxy_header_v1(*reader.connection()), *reader.connection());
  check_reads_as(proxy_header_v2(*reader.connection(), {.authority = "a.example", .unique_id = "1"}),
                 *reader.connection());
}

}  // namespace
}  // namespace limpid

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  limpid::check_answer({data, size});
  return 0;
}
