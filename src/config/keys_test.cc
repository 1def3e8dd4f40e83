// SPDX-License-Identifier: MIT
// The table of keys against what is said of it elsewhere: the packaged file and the man page.
#include "config/keys.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "config/parse.h"
#include "config/suggest.h"

namespace limpid {
namespace {

std::string read_source(const char* path) {
  const std::ifstream file(std::filesystem::path(__FILE__).parent_path() / "../.." / path);
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(PackagedFile, IsReadAsTheDefaults) {
  const Settings settings = read_settings(read_source("packaging/limpid.toml"), "limpid.toml", {});
  EXPECT_TRUE(settings.errors.empty()) << settings.errors.front().text();
  EXPECT_EQ(settings.config, Config());
}

// Takes the "# " off each line that is a key of the table before it: a default that is shown, not set.
std::string uncomment_keys(std::istringstream lines) {
  std::string text, table;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('[')) table = line.substr(1, line.find(']') - 1);
    const bool is_key =
        line.starts_with("# ") && find_key(fmt::format("{}.{}", table, line.substr(2, line.find(' ', 2) - 2)));
    text += fmt::format("{}\n", is_key ? line.substr(2) : line);
  }
  return text;
}

TEST(PackagedFile, NamesEveryKeyWithItsDefault) {
  const std::string text = uncomment_keys(std::istringstream(read_source("packaging/limpid.toml")));
  const Settings settings = read_settings(text, "limpid.toml", {});
  EXPECT_TRUE(settings.errors.empty()) << settings.errors.front().text();
  EXPECT_EQ(settings.config, Config());
  for (const Key& key : config_keys()) EXPECT_TRUE(settings.origins.has(key.path)) << key.path;
}

TEST(ManPage, ExplainsEveryKeyWithItsDefault) {
  const std::string page = read_source("docs/man/limpid.toml.5");
  for (const Key& key : config_keys()) {
    const std::vector<std::string> texts = key.texts(Config());
    const std::string value = key.is_list() ? "[]" : (key.shape == Shape::text ? "Qq " : "") + texts.front();
    const std::string line =
        fmt::format("\n.It Ic {} No = {}\n.Pq Fl Fl {}\n", key.name(), value, key.option.substr(2));
    const std::size_t table = page.find(fmt::format("\n.Ss The {} table\n", key.table()));
    EXPECT_NE(table, std::string::npos) << key.path;
    EXPECT_NE(page.find(line, table), std::string::npos) << line;
  }
}

TEST(Keys, HaveNamesAndOptionsOfTheirOwn) {
  std::set<std::string_view> paths, options;
  for (const Key& key : config_keys()) {
    EXPECT_TRUE(paths.insert(key.path).second) << key.path;
    EXPECT_TRUE(options.insert(key.option).second && key.option.starts_with("--")) << key.option;
    EXPECT_FALSE(key.help.empty() || key.help.ends_with('.') || key.placeholder.empty() || key.wanted.empty())
        << key.path;
    EXPECT_EQ(find_key(key.path), &key);
  }
  EXPECT_EQ(find_key("intercept"), nullptr);
  EXPECT_EQ(find_key("intercept.sctp"), nullptr);
}

TEST(Suggestion, IsASlipOrTwoAway) {
  const std::string_view known[] = {"tcp", "table", "local", "local_mark", "interfaces"};
  EXPECT_EQ(closest("tpc", known), "tcp");
  EXPECT_EQ(closest("interface", known), "interfaces");
  EXPECT_EQ(closest("local-mrk", known), "local_mark");
  EXPECT_EQ(closest("locale", known), "local");
  EXPECT_EQ(closest("udp", known), "");
  EXPECT_EQ(closest("", known), "");
  EXPECT_EQ(closest(std::string(100000, 'x'), known), "");
}

}  // namespace
}  // namespace limpid
