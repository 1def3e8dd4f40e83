// SPDX-License-Identifier: MIT
// For tests: a directory that goes, with all that is in it.
#pragma once
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "base/check.h"

namespace limpid {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    // The six letters are mkdtemp(3)'s to replace.
    std::string pattern = std::filesystem::temp_directory_path() / "limpid-test-XXXXXX";
    CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace limpid
