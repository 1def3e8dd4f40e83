// SPDX-License-Identifier: MIT
// HTTP CONNECT: whatever a proxy sends, the answer does not depend on how it is cut or on what follows the header, and
// what is logged of it is printable.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "protocol/http_connect.h"
#include "protocol/in_pieces.h"

namespace limpid {
namespace {

void check_answer(Bytes input) {
  const ProxyDestination destination = {{}, "host.example"};
  const Outcome outcome = outcome_of([&] { return *HttpConnect::to(destination, {}); }, input);
  CHECK(outcome.consumed <= HttpConnect::header_limit);
  if (outcome.next == Step::Next::refused)
    CHECK(!outcome.refusal.reason.empty() &&
          std::ranges::all_of(outcome.refusal.reason, [](char byte) { return byte >= ' ' && byte < 0x7f; }));
  if (outcome.next != Step::Next::done) return;
  const Bytes header = input.first(outcome.consumed);
  CHECK(std::ranges::equal(header.last(4), std::string_view("\r\n\r\n")));
}

}  // namespace
}  // namespace limpid

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  limpid::check_answer({data, size});
  return 0;
}
