// SPDX-License-Identifier: MIT
#include "config/suggest.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace limpid {
namespace {

// Letters put in, left out, mistaken or swapped with their neighbour to get from one to the other (optimal string
// alignment).
std::size_t slips(std::string_view from, std::string_view to) {
  std::vector<std::size_t> before(to.size() + 1), previous(to.size() + 1), current(to.size() + 1);
  for (std::size_t column = 0; column <= to.size(); ++column) current[column] = column;
  for (std::size_t row = 1; row <= from.size(); ++row) {
    before.swap(previous);
    previous.swap(current);
    current[0] = row;
    for (std::size_t column = 1; column <= to.size(); ++column) {
      const std::size_t mistaken = previous[column - 1] + (from[row - 1] == to[column - 1] ? 0 : 1);
      current[column] = std::min({mistaken, previous[column] + 1, current[column - 1] + 1});
      if (row > 1 && column > 1 && from[row - 1] == to[column - 2] && from[row - 2] == to[column - 1])
        current[column] = std::min(current[column], before[column - 2] + 1);
    }
  }
  return current[to.size()];
}

}  // namespace

std::string_view closest(std::string_view word, std::span<const std::string_view> known) {
  std::string_view nearest;
  std::size_t fewest =
      word.size() < 5 ? 2 : 3;  // one fewer is close enough; short words resemble each other too easily
  for (std::string_view candidate : known) {
    if (word.size() > candidate.size() + 2 || candidate.size() > word.size() + 2) continue;
    if (const std::size_t count = slips(word, candidate); count < fewest) {
      nearest = candidate;
      fewest = count;
    }
  }
  return nearest;
}

}  // namespace limpid
