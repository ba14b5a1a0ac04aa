#include "capfile/input/input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/format.h"
#include "base/text.h"

namespace tcpwhy::capfile {
namespace {

base::OwnedText hint_for(int error) {
  if (error == ENOENT) return {"check the path; - reads standard input", "请检查路径；- 表示读取标准输入"};
  if (error == EMFILE)
    return {"all are open at once: ulimit -n says how many may be", "所有文件会同时打开：ulimit -n 显示最多可打开多少"};
  return {};
}

}  // namespace

base::Result<Input> Input::open(const std::string& path) {
  const bool standard_input = path == "-";
  base::UniqueFd fd(standard_input ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                   : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  std::string name = standard_input ? "standard input" : path;
  if (fd.valid()) return Input(std::move(fd), std::move(name));
  const int error = errno;
  return base::fail(base::ErrorKind::unreadable,
                    base::format({"{}: {}", "{}：{}"}, base::escape_controls(name), std::strerror(error)),
                    hint_for(error));
}

Input::Input(base::UniqueFd fd, std::string name)
    : fd_(std::make_shared<const base::UniqueFd>(std::move(fd))), name_(std::move(name)) {
  struct stat status{};
  is_regular_ = ::fstat(fd_->get(), &status) == 0 && S_ISREG(status.st_mode);
  if (is_regular_) start_ = static_cast<std::uint64_t>(std::max<off_t>(::lseek(fd_->get(), 0, SEEK_CUR), 0));
}

}  // namespace tcpwhy::capfile
