// SPDX-License-Identifier: MIT
// For tests: each runs in a network namespace of its own, with lo up, which goes when it ends. Needs root.
#pragma once
#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>

#include "net/lab.h"

namespace limpid {

// Runs it in a shell in the namespace of the calling thread; what it prints. Fails the test if it fails.
inline std::string shell(const std::string& command) {
  std::string output;
  FILE* const pipe = popen(("{ " + command + "\n} 2>&1").c_str(), "r");
  if (pipe == nullptr) {
    ADD_FAILURE() << "cannot start: " << command;
    return output;
  }
  char buffer[4096];
  while (const std::size_t size = fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, size);
  if (const int status = pclose(pipe); status != 0)
    ADD_FAILURE() << command << " failed (" << status << "): " << output;
  return output;
}

class FreshNamespace : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(geteuid(), 0U) << "this test makes network namespaces: run it as root";
    Result<NetworkNamespace> made = NetworkNamespace::create();
    ASSERT_TRUE(made) << made.error().what;
    here_.emplace(std::move(*made));
    inside_.emplace(*here_);
  }

  [[nodiscard]] const NetworkNamespace& here() const { return *here_; }

  // Everything that intercept could leave behind.
  static std::string kernel_state() {
    return shell("nft list ruleset; for f in 4 6; do ip -$f rule; ip -$f route show table all; done");
  }

 private:
  std::optional<NetworkNamespace> here_;
  std::optional<NetworkNamespace::Inside> inside_;
};

}  // namespace limpid
