#include "trace/holders.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include "base/unique_fd.h"
#include "trace/proc_text.h"

namespace tcpwhy::trace {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

std::string command_in(const std::string& process) {
  const base::UniqueFd file(open((process + "/comm").c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 64> text{};
  const ssize_t got = file.valid() ? read(file.get(), text.data(), text.size()) : 0;
  std::string command(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  if (!command.empty() && command.back() == '\n') command.pop_back();
  return command;
}

class Search {
 public:
  explicit Search(std::size_t most) : left_(most) {}

  void look_into(const std::string& process, pid_t pid) {
    const Directory descriptors(opendir((process + "/fd").c_str()));
    if (descriptors == nullptr) {
      if (errno == EACCES || errno == EPERM) ++found_.processes, ++found_.not_permitted;
      return;
    }
    ++found_.processes;
    std::optional<std::string> command;
    errno = 0;
    while (const dirent* entry = readdir(descriptors.get())) {
      const auto fd = number_in<int>(entry->d_name);
      if (!fd) continue;
      if (left_ == 0) {
        found_.complete = false;
        return;
      }
      --left_;
      std::array<char, 64> link{};
      const ssize_t length = readlinkat(dirfd(descriptors.get()), entry->d_name, link.data(), link.size());
      // proc_fd_permission() lets the owner list what readlink then refuses (hidepid, or a process that is not dumpable).
      if (length < 0 && errno == EACCES) {
        ++found_.not_permitted;
        return;
      }
      const auto inode = length > 0 ? socket_inode({link.data(), static_cast<std::size_t>(length)}) : std::nullopt;
      if (!inode) continue;
      if (!command) command = command_in(process);
      found_.by_inode[*inode].push_back({pid, *fd, *command});
    }
  }

  recording::SocketHolders take() {
    for (auto& [_, holders] : found_.by_inode) std::ranges::sort(holders);
    return std::move(found_);
  }

 private:
  recording::SocketHolders found_;
  std::size_t left_;
};

}  // namespace

recording::SocketHolders find_socket_holders(const std::string& proc, std::size_t most) {
  Search search(most);
  const Directory processes(opendir(proc.c_str()));
  if (processes != nullptr)
    while (const dirent* entry = readdir(processes.get()))
      if (const auto pid = number_in<pid_t>(entry->d_name)) search.look_into(proc + "/" + entry->d_name, *pid);
  return search.take();
}

std::string command_of(pid_t pid) { return command_in("/proc/" + std::to_string(pid)); }

}  // namespace tcpwhy::trace
