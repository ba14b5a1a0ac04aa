#include <exception>

#include "base/result.h"
#include "cli/output.h"
#include "cli/program.h"

int main(int argc, char** argv) {
  try {
    return tcpwhy::cli::run_program(argc, argv);
  } catch (const std::exception& mistake) {  // out of memory, or a mistake of ours
    return tcpwhy::cli::report({.kind = tcpwhy::base::ErrorKind::system, .message = mistake.what(), .hint = {}});
  }
}
