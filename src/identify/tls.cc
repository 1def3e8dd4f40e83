// SPDX-License-Identifier: MIT
#include "identify/tls.h"

#include <algorithm>
#include <vector>

#include "identify/client_hello.h"

namespace limpid {
namespace {

constexpr std::size_t header_size = 5;  // type, version, length
constexpr std::size_t longest_fragment = 1 << 14;

// A plaintext handshake record, as far as its header is there. Its minor version is to be ignored, but nobody sends
// more than 4; it cannot be empty; and none of another type may stand between those of one message.
bool may_be_record(Bytes bytes) {
  return (bytes.empty() || bytes[0] == tls_handshake_record) && (bytes.size() < 2 || bytes[1] == 3) &&
         (bytes.size() < 3 || bytes[2] <= 4);
}

}  // namespace

Finding identify_tls(Bytes stream) {
  std::vector<std::uint8_t> joined;  // the message, once it is in several records
  Application so_far = Application::unknown;
  for (std::size_t at = 0;;) {
    const Bytes record = stream.subspan(at);
    if (!may_be_record(record)) return Finding::none();
    if (record.size() < header_size)
      return Finding::more(at + (record.size() < 3 ? record.size() + 1 : header_size), so_far);
    const std::size_t length = static_cast<std::size_t>(record[3]) << 8 | record[4];
    if (length == 0 || length > longest_fragment) return Finding::none();

    const Bytes fragment = record.subspan(header_size, std::min(length, record.size() - header_size));
    if (at > 0) joined.insert(joined.end(), fragment.begin(), fragment.end());
    const Bytes message = at > 0 ? Bytes(joined) : fragment;
    Finding finding = identify_client_hello(message, Application::tls);
    if (finding.progress != Progress::need_more) return finding;
    so_far = finding.identity.application;
    if (fragment.size() < length) {
      // The message goes on in this record; or in the next, whose first byte can already be wrong.
      const std::size_t missing = finding.wanted - message.size(), left = length - fragment.size();
      return Finding::more(stream.size() + std::min(missing, left + 1), so_far);
    }
    if (at == 0) joined.assign(fragment.begin(), fragment.end());
    at += header_size + length;
  }
}

}  // namespace limpid
