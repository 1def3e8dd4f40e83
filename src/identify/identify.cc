// SPDX-License-Identifier: MIT
#include "identify/identify.h"

#include <algorithm>
#include <string_view>

#include "identify/http1.h"
#include "identify/http2.h"
#include "identify/ssh.h"
#include "identify/tls.h"

namespace limpid {
namespace {

// What is unlike anything we know is so by its first bytes, most often by the very first.
Finding look(Bytes stream) {
  if (stream.empty()) return Finding::more(1);
  if (stream[0] == tls_handshake_record) return identify_tls(stream);

  const std::string_view text(reinterpret_cast<const char*>(stream.data()), stream.size());
  if (text.starts_with(ssh_banner)) return Finding::without_host(Application::ssh);
  if (text.starts_with(http2_preface)) return identify_http2(stream);
  if (ssh_banner.starts_with(text) || http2_preface.starts_with(text)) return Finding::more(text.size() + 1);
  return identify_http1(stream);
}

}  // namespace

Finding identify_stream(Bytes first_bytes) {
  Finding finding = look(first_bytes.first(std::min(first_bytes.size(), most_bytes)));
  if (finding.progress != Progress::need_more || finding.wanted <= most_bytes) return finding;
  const Application certain = finding.identity.application;
  return certain == Application::unknown ? Finding::none() : Finding::without_host(certain);
}

}  // namespace limpid
