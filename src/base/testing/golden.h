// For tests: a text held against a file of the repository. `tools/golden update` writes the files anew.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace tcpwhy::base::testing {

inline std::string read_file(const std::string& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// `path` from the project's root.
inline void expect_golden(const std::string& path, const std::string& actual) {
  const std::string file = std::string(TCPWHY_SOURCE_DIR) + "/" + path;
  if (std::getenv("TCPWHY_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(file) << actual;
    return;
  }
  EXPECT_EQ(read_file(file), actual) << path
                                     << " is not what the program says; if the program is right: tools/golden update";
}

// One table of a page that is otherwise written by hand: from its first line, `head` ("| id | severity |\n| --- | --- |\n"), to its last row.
inline void expect_golden_table(const std::string& path, const std::string& head, const std::string& rows) {
  const std::string page = read_file(std::string(TCPWHY_SOURCE_DIR) + "/" + path);
  const auto begin = page.find("\n" + head);
  ASSERT_NE(begin, std::string::npos) << path << " has no table that begins with\n" << head;
  auto end = begin + 1 + head.size();
  while (end < page.size() && page[end] == '|') end = page.find('\n', end) + 1;
  if (std::getenv("TCPWHY_UPDATE_GOLDEN") != nullptr)
    return expect_golden(path, page.substr(0, begin + 1) + head + rows + page.substr(end));
  EXPECT_EQ(page.substr(begin + 1, end - begin - 1), head + rows) << path << ": tools/golden update";
}

}  // namespace tcpwhy::base::testing
