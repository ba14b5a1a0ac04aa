// For tests: where the data stands that they hold the program against.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace tcpwhy::base::testing {

// What we measured ourselves: tests/`name`. It is part of the project, so a test that does not find it fails.
inline std::filesystem::path own_data(std::string_view name) {
  return std::filesystem::path(TCPWHY_SOURCE_DIR) / "tests" / name;
}

// Captures that others published, and what they say of them. They are not ours to pass on: they stand in the folder captures/ of
// $TCPWHY_SHARED, else of ../shared. Tests that need them skip where that is absent.
inline std::filesystem::path public_captures() {
  const char* const named = std::getenv("TCPWHY_SHARED");
  return (named != nullptr ? std::filesystem::path(named) : std::filesystem::path(TCPWHY_SOURCE_DIR) / "../shared") /
         "captures";
}

// Why such a test skips.
inline std::string no_public_captures() {
  return public_captures().string() + " is absent (TCPWHY_SHARED names another place)";
}

// Each of them, in order of their names; none where the folder is absent.
inline std::vector<std::filesystem::path> public_capture_files() {
  std::vector<std::filesystem::path> files;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(public_captures(), absent))
    if (entry.is_regular_file() && entry.path().extension() != ".tsv") files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

// The captures of tests/two-stacks, in order of their names.
inline std::vector<std::filesystem::path> two_stacks_captures() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(own_data("two-stacks")))
    if (entry.path().extension() == ".pcap") files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

}  // namespace tcpwhy::base::testing
