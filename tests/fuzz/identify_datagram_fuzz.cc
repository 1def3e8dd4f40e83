// SPDX-License-Identifier: MIT
// The datagrams of a flow: an answer once given stays, and there is one after the eighth. Input: datagrams, each behind
// a byte of flags and two of its size; by the flags it is as it is, or the frames of an Initial packet that is sealed
// here.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "identify/host_name.h"
#include "identify/identify.h"
#include "identify/initial_builder.h"
#include "identify/reader.h"

namespace limpid {
namespace {

std::vector<std::uint8_t> datagram_of(std::uint64_t flags, Bytes bytes) {
  if ((flags & 1) != 0) return {bytes.begin(), bytes.end()};
  InitialFields fields{.version = (flags & 2) != 0 ? QuicVersion::v2 : QuicVersion::v1};
  fields.number = static_cast<std::uint32_t>(flags >> 3);
  std::vector<std::uint8_t> datagram = build_initial(fields, bytes);
  if ((flags & 4) != 0) datagram.insert(datagram.end(), bytes.begin(), bytes.end());  // coalesced with anything
  return datagram;
}

void check_datagrams(Bytes input) {
  constexpr std::size_t longest = 16'000;
  DatagramIdentifier identifier;
  Finding last = Finding::more(0);
  Reader reader(input);
  for (int count = 1; !reader.is_at_end() && count <= most_datagrams + 2; ++count) {
    const std::uint64_t flags = reader.number(1);
    const std::size_t size = std::min({reader.number(2), reader.rest().size(), longest});
    const Finding finding = identifier.add(datagram_of(flags, reader.take(size)));
    CHECK(last.progress == Progress::need_more || finding == last);
    CHECK(count < most_datagrams || finding.progress != Progress::need_more);
    CHECK(host_name(finding.identity.host) == finding.identity.host);
    last = finding;
  }
}

}  // namespace
}  // namespace limpid

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  limpid::check_datagrams({data, size});
  return 0;
}
