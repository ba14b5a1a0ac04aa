// Test support: what another program says.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

namespace tcpwhy::base::testing {

// The standard output of a shell command that a test spells; empty where it can't be run.
inline std::string output_of(const std::string& command) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(::popen(command.c_str(), "r"), &::pclose);
  std::string output;
  char buffer[65536];
  while (const std::size_t count = pipe ? std::fread(buffer, 1, sizeof buffer, pipe.get()) : 0) {
    output.append(buffer, count);
  }
  return output;
}

}  // namespace tcpwhy::base::testing
