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
                                .message = {"out of memory", "内存不足"},
                                .hint = {"see ulimit -v and the memory limit of the cgroup; ask for less at once",
                                         "见 ulimit -v 和 cgroup 的内存限制；请减少一次处理的内容"}});
  } catch (const std::exception& mistake) {  // a mistake of ours
    return tcpwhy::cli::report(
        {.kind = tcpwhy::base::ErrorKind::system, .message = tcpwhy::base::both(mistake.what()), .hint = {}});
  }
}
