// SPDX-License-Identifier: MIT
// The first bytes of a stream: an answer once given is the same for whatever follows, and with fewer bytes than were
// wanted there is none. Input: the bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "identify/host_name.h"
#include "identify/identify.h"

namespace limpid {
namespace {

void check_beginnings(Bytes stream) {
  const Finding whole = identify_stream(stream);
  std::size_t wanted = 0;
  // Every size of a short stream; of a long one those around which something may change.
  const bool is_short = stream.size() <= 512;
  for (std::size_t size = 0; size <= stream.size();) {
    const Finding finding = identify_stream(stream.first(size));
    if (finding.progress != Progress::need_more) {
      CHECK(size >= wanted);
      CHECK(finding == whole);
    } else {
      CHECK(finding.wanted > size && finding.wanted >= wanted && finding.wanted <= most_bytes);
      CHECK(size < stream.size() || finding == whole);
      wanted = finding.wanted;
    }
    const bool is_decided = finding.progress != Progress::need_more;
    size = is_short || size + 1 == wanted || size == wanted ? size + 1 : is_decided ? size + 997 : wanted - 1;
  }
  const Identity& identity = whole.identity;
  CHECK(host_name(identity.host) == identity.host);
  CHECK(identity.alpn.size() <= 64);
  CHECK((whole.progress == Progress::found) <= (identity.application != Application::unknown));
}

}  // namespace
}  // namespace limpid

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  limpid::check_beginnings({data, std::min<std::size_t>(size, 20'000)});
  return 0;
}
