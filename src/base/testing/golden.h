// For tests: a text held against a file of the repository. `tools/golden update` writes the files anew.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace tcpwhy::base::testing {

// `path` from the project's root.
inline void expect_golden(const std::string& path, const std::string& actual) {
  const std::string file = std::string(TCPWHY_SOURCE_DIR) + "/" + path;
  if (std::getenv("TCPWHY_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(file) << actual;
    return;
  }
  std::ifstream in(file);
  std::stringstream expected;
  expected << in.rdbuf();
  EXPECT_EQ(expected.str(), actual) << path
                                    << " is not what the program says; if the program is right: tools/golden update";
}

}  // namespace tcpwhy::base::testing
