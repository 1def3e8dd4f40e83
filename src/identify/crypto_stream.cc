// SPDX-License-Identifier: MIT
#include "identify/crypto_stream.h"

#include <algorithm>

namespace limpid {

void CryptoStream::add(std::uint64_t offset, Bytes data) {
  if (data.empty() || offset > most_bytes || data.size() > most_bytes - offset) return;
  const Range added{offset, offset + data.size()};
  Range merged = added;
  const auto first = std::ranges::lower_bound(ranges_, added.begin, {}, &Range::end);
  auto last = first;
  for (; last != ranges_.end() && last->begin <= added.end; ++last) {
    const std::size_t begin = std::max(last->begin, added.begin), end = std::min(last->end, added.end);
    if (!std::ranges::equal(Bytes(bytes_).subspan(begin, end - begin), data.subspan(begin - added.begin, end - begin)))
      contradicts_itself_ = true;
    merged = {std::min(merged.begin, last->begin), std::max(merged.end, last->end)};
  }
  if (first == last && ranges_.size() == most_ranges) return;
  ranges_.insert(ranges_.erase(first, last), merged);
  if (bytes_.size() < added.end) bytes_.resize(added.end);
  std::ranges::copy(data, bytes_.begin() + static_cast<std::ptrdiff_t>(offset));
}

Bytes CryptoStream::contiguous() const {
  if (ranges_.empty() || ranges_.front().begin != 0) return {};
  return Bytes(bytes_).first(ranges_.front().end);
}

}  // namespace limpid
