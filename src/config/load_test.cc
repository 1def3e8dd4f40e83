// SPDX-License-Identifier: MIT
#include "config/load.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace limpid {
namespace {

class Load : public testing::Test {
 protected:
  Load() {
    std::string pattern = (std::filesystem::temp_directory_path() / "limpid-load-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  ~Load() override { std::filesystem::remove_all(directory_); }

  std::string write(std::string_view text) const {
    const std::string path = directory_ / "limpid.toml";
    std::ofstream(path) << text;
    return path;
  }

  std::filesystem::path directory_;
};

TEST_F(Load, ReadsAFile) {
  const auto config = load_config(write("[intercept]\ninterfaces = [\"lan0\"]\ntcp = [\"80\"]\n"), {});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->intercept.interfaces.front(), "lan0");
}

TEST_F(Load, NamesTheFileInErrors) {
  const std::string path = write("[log]\nlevle = 1\n");
  const auto config = load_config(path, {});
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().front().text(), path + ":2:1: unknown key \"log.levle\": did you mean \"level\"?");
}

TEST_F(Load, SaysWhatToDoAboutAFileThatCannotBeRead) {
  const std::string advice =
      ": name a configuration file that can be read with --config, or leave it out and say all on the command line";
  const std::string missing = directory_ / "missing.toml";
  EXPECT_EQ(load_config(missing, {}).error().front().text(), missing + ": open: No such file or directory" + advice);
  EXPECT_EQ(load_config(directory_, {}).error().front().text(),
            directory_.string() + ": read: Is a directory" + advice);
  EXPECT_EQ(load_config("/dev/zero", {}).error().front().text(), "/dev/zero: larger than 16777216 bytes" + advice);
  EXPECT_EQ(load_config("", {}).error().front().place, SourcePlace());
}

TEST_F(Load, NeedsNoFile) {
  EXPECT_TRUE(load_config(std::nullopt, {{find_key("intercept.local"), {}}, {find_key("intercept.tcp"), {"80"}}}));
  EXPECT_FALSE(load_config(std::nullopt, {}));
}

}  // namespace
}  // namespace limpid
