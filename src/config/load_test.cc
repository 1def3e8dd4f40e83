// SPDX-License-Identifier: MIT
#include "config/load.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/temporary_directory.h"

namespace limpid {
namespace {

class Load : public testing::Test {
 protected:
  std::string write(std::string_view text) const {
    const std::string path = directory_.path() / "limpid.toml";
    std::ofstream(path) << text;
    return path;
  }

  TemporaryDirectory directory_;
};

TEST_F(Load, ReadsAFile) {
  const auto config = load_config(write("[intercept]\ninterfaces = [\"lan0\"]\ntcp = [\"80\"]\n"), {});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->intercept.interfaces.front(), "lan0");
}

TEST_F(Load, TellsOfTheFileBeforeThoseItNames) {
  const std::string hosts = directory_.path() / "hosts";
  std::ofstream(hosts) << "b*d.example\n";
  const std::string path = write("[log]\nlevle = 1\n[[rule]]\nhost_file = \"" + hosts + "\"\naction = \"reject\"\n");
  const auto config = load_config(path, {});
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error()[0].place, (SourcePlace{path, 2, 1}));
  EXPECT_EQ(config.error()[1].place, (SourcePlace{hosts, 1, 1}));
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
  const std::string missing = directory_.path() / "missing.toml";
  EXPECT_EQ(load_config(missing, {}).error().front().text(), missing + ": open: No such file or directory" + advice);
  EXPECT_EQ(load_config(directory_.path(), {}).error().front().text(),
            directory_.path().string() + ": read: Is a directory" + advice);
  EXPECT_EQ(load_config("/dev/zero", {}).error().front().text(), "/dev/zero: larger than 16777216 bytes" + advice);
  EXPECT_EQ(load_config("", {}).error().front().place, SourcePlace());
}

TEST_F(Load, NeedsNoFile) {
  EXPECT_TRUE(load_config(std::nullopt, {{find_key("intercept.local"), {}}, {find_key("intercept.tcp"), {"80"}}}));
  EXPECT_FALSE(load_config(std::nullopt, {}));
}

}  // namespace
}  // namespace limpid
