#include <exception>
#include <new>

#include "base/result.h"
#include "cli/output/output.h"
#include "cli/program.h"

int main(int argc, char** argv) {
  tcpwhy::cli::occupy_standard_descriptors();
  tcpwhy::cli::outlive_file_size_limit();
  try {
    return tcpwhy::cli::run_program(argc, argv);
  } catch (const std::bad_alloc&) {
    return tcpwhy::cli::report({.kind = tcpwhy::base::ErrorKind::system,
                                .message = "out of memory",
                                .hint = "see ulimit -v and the memory limit of the cgroup; ask for less at once"});
  } catch (const std::exception& mistake) {  // a mistake of ours
    return tcpwhy::cli::report({.kind = tcpwhy::base::ErrorKind::system, .message = mistake.what(), .hint = {}});
  }
}
