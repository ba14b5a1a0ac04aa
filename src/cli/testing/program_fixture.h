// The program as its users meet it: command lines of a shell, their output and exit status.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/testing/temporary_folder.h"

namespace tcpwhy::cli::testing {

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Ran {
  int status = -1;  // as a shell shows it: 128 + the signal that killed it
  std::string out, err;
};

// The program, run with a folder for the files of a test.
class Program : public ::testing::Test {
 protected:
  [[nodiscard]] std::string file(const std::string& name) const { return folder_ / name; }
  [[nodiscard]] std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(file(name)) << text;
    return file(name);
  }

  // `command` in a shell, in which $tcpwhy is the program.
  Ran sh(const std::string& command) {
    const auto out = file("out"), err = file("err");
    const auto line = fmt::format("tcpwhy='{}'; unset COLUMNS LC_ALL LC_MESSAGES LANG; {{ {} ; }} >{} 2>{} </dev/null",
                                  TCPWHY_PROGRAM, command, out, err);
    const int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), slurp(out), slurp(err)};
  }

  // Whether experiments can run here; they cannot in some containers.
  bool has_lab() {
    const auto ran = sh("$tcpwhy lab 1-open/handshake");
    if (ran.status != 4) return true;
    why_no_lab_ = ran.err;
    return false;
  }
  // Whether the kernel's tracepoints are to be had.
  bool has_bpf() {
    static const bool has = sh("$tcpwhy trace -q --no-packets --backend bpf -- true").status == 0;
    return has;
  }

  base::testing::TemporaryFolder temporary_;
  std::filesystem::path folder_ = temporary_.path();
  std::string why_no_lab_;
};

#define NEEDS_LAB() \
  if (!has_lab()) GTEST_SKIP() << why_no_lab_

}  // namespace tcpwhy::cli::testing
