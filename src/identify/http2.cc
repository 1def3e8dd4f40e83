// SPDX-License-Identifier: MIT
#include "identify/http2.h"

#include <nghttp2/nghttp2.h>

#include <memory>
#include <optional>
#include <vector>

#include "identify/host_name.h"
#include "identify/reader.h"

namespace limpid {
namespace {

constexpr std::size_t frame_header_size = 9;
constexpr std::size_t longest_frame = 1 << 14;  // as long as the server has not allowed more (RFC 9113, 6.5.2)
constexpr std::uint64_t headers = 1, continuation = 9;
constexpr std::uint64_t end_headers = 0x4, padded = 0x8, with_priority = 0x20;

// The field block fragment of a HEADERS frame (RFC 9113, 6.2).
std::optional<Bytes> fragment_of(Bytes payload, std::uint64_t flags) {
  Reader reader(payload);
  const std::size_t padding = (flags & padded) != 0 ? reader.number(1) : 0;
  if ((flags & with_priority) != 0) reader.take(5);
  if (reader.is_short() || padding > reader.rest().size()) return std::nullopt;
  return reader.rest().first(reader.rest().size() - padding);
}

struct DeleteInflater {
  void operator()(nghttp2_hd_inflater* inflater) const { nghttp2_hd_inflate_del(inflater); }
};
using Inflater = std::unique_ptr<nghttp2_hd_inflater, DeleteInflater>;

Inflater new_inflater() {
  nghttp2_hd_inflater* inflater = nullptr;
  return nghttp2_hd_inflate_new(&inflater) == 0 ? Inflater(inflater) : Inflater();
}

std::string_view text_of(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

std::string host_of_block(Bytes block) {
  const Inflater inflater = new_inflater();
  if (!inflater) return {};
  std::optional<std::string> authority, host;
  for (;;) {
    nghttp2_nv field{};
    int flags = 0;
    const auto used = nghttp2_hd_inflate_hd2(inflater.get(), &field, &flags, block.data(), block.size(), 1);
    if (used < 0) return {};
    block = block.subspan(static_cast<std::size_t>(used));
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      const std::string_view name = text_of(field.name, field.namelen);
      const std::string_view value = text_of(field.value, field.valuelen);
      if (name == ":authority" || name == "host") {
        std::optional<std::string>& place = name == "host" ? host : authority;
        // A second one is malformed (RFC 9113, 8.3), and a field of one byte that refers to it could come thousands of
        // times.
        if (place) return {};
        place = host_of_authority(value);
      }
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0 && block.empty()) return {};  // it breaks off
  }
  return authority ? *authority : host.value_or("");
}

}  // namespace

Finding identify_http2(Bytes stream) {
  Finding not_in_order = Finding::without_host(Application::http);
  std::vector<std::uint8_t> block;
  bool in_block = false;
  for (std::size_t at = http2_preface.size();;) {
    const std::size_t behind_header = at + frame_header_size;
    if (stream.size() < behind_header) return Finding::more(behind_header, Application::http);
    Reader reader(stream.subspan(at));
    const std::size_t length = reader.number(3);
    const std::uint64_t type = reader.number(1), flags = reader.number(1);
    if (length > longest_frame || in_block != (type == continuation)) return not_in_order;

    const std::size_t end = behind_header + length;
    const bool is_read = type == headers || type == continuation;
    // Of a frame that is skipped nothing is looked at before the next one's header.
    if (stream.size() < end) return Finding::more(is_read ? end : end + frame_header_size, Application::http);
    if (is_read) {
      const Bytes payload = stream.subspan(behind_header, length);
      const std::optional<Bytes> fragment = type == headers ? fragment_of(payload, flags) : payload;
      if (!fragment) return not_in_order;
      block.insert(block.end(), fragment->begin(), fragment->end());
      in_block = true;
      if ((flags & end_headers) != 0) return Finding::of({Application::http, host_of_block(block), {}});
    }
    at = end;
  }
}

}  // namespace limpid
