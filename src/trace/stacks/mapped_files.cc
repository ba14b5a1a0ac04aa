#include "trace/stacks/mapped_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace tcpwhy::trace {
namespace {

constexpr const char* loaders[] = {"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1",
                                   "/lib/ld-musl-x86_64.so.1", "/lib/ld-musl-aarch64.so.1"};

// A place in the file system; nothing is opened, so no FIFO is waited for and no device woken.
base::UniqueFd place(const char* path) { return base::UniqueFd(::open(path, O_PATH | O_CLOEXEC)); }

enum class Links : std::uint8_t { none, inside };  // of the path: it has none; or they are followed below `root`

// openat2(2), since Linux 5.6.
base::UniqueFd place_below(const base::UniqueFd& root, const std::string& path, Links links) {
  if (!root.valid() || !path.starts_with('/')) return {};
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (links == Links::none ? RESOLVE_NO_SYMLINKS : 0);
  const long fd = ::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how);
  if (fd >= 0 || errno != ENOSYS) return base::UniqueFd(static_cast<int>(fd));
  return base::UniqueFd(::openat(root.get(), path.c_str() + 1, O_PATH | O_CLOEXEC | O_NOFOLLOW));
}

// What the kernel says of a mapping and what stat(2) says of the file differ in the device on file systems that have none of their
// own (btrfs, overlayfs).
bool is_mapped_one(const struct stat& status, const Mapping& mapping) {
  if (!S_ISREG(status.st_mode)) return false;
  if (mapping.file_bytes != 0 && static_cast<std::uint64_t>(status.st_size) != mapping.file_bytes) return false;
  if (mapping.inode == 0) return true;
  const bool same_device =
      status.st_dev == mapping.device || ::major(status.st_dev) == 0 || ::major(mapping.device) == 0;
  return status.st_ino == mapping.inode && same_device;
}

base::UniqueFd open_if_mapped(const base::UniqueFd& found, const Mapping& mapping) {
  struct stat status{};
  if (!found.valid() || ::fstat(found.get(), &status) != 0 || !is_mapped_one(status, mapping)) return {};
  // The same file, whatever has come to stand at its path.
  return base::UniqueFd(
      ::open(fmt::format("/proc/self/fd/{}", found.get()).c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

base::UniqueFd open_at_path(const std::string& path, const Mapping& mapping, pid_t pid, Links links) {
  for (const std::string& root : {fmt::format("/proc/{}/root", pid), std::string("/")})
    if (base::UniqueFd fd = open_if_mapped(place_below(place(root.c_str()), path, links), mapping); fd.valid())
      return fd;
  return {};
}

base::UniqueFd open_mapping(const Mapping& mapping, pid_t pid) {
  if (mapping.length != 0) {
    const std::string link =
        fmt::format("/proc/{}/map_files/{:x}-{:x}", pid, mapping.start, mapping.start + mapping.length);
    if (base::UniqueFd fd = open_if_mapped(place(link.c_str()), mapping); fd.valid()) return fd;
  }
  return open_at_path(mapping.path, mapping, pid, Links::none);
}

}  // namespace

const std::span<const char* const> loader_paths = loaders;

std::shared_ptr<MappedFile> MappedFiles::open(const Mapping& mapping, pid_t pid) {
  std::weak_ptr<MappedFile>& known = open_[{mapping.device, mapping.inode, mapping.file_bytes, mapping.path}];
  // Without an inode it may be another file by now.
  if (auto file = known.lock(); file && mapping.inode != 0) return file;
  base::UniqueFd fd = open_mapping(mapping, pid);
  if (!fd.valid()) return nullptr;
  auto file = std::make_shared<MappedFile>(MappedFile{mapping.path, std::move(fd)});
  known = file;
  return file;
}

std::shared_ptr<MappedFile> MappedFiles::open_loader(const std::string& path, pid_t pid) {
  base::UniqueFd fd = open_at_path(path, {}, pid, Links::inside);
  return fd.valid() ? std::make_shared<MappedFile>(MappedFile{path, std::move(fd)}) : nullptr;
}

base::UniqueFd open_debug_file(std::span<const std::uint8_t> build_id) {
  if (build_id.size() < 2 || build_id.size() > most_build_id) return {};
  std::string path = "/usr/lib/debug/.build-id/";
  for (std::size_t i = 0; i < build_id.size(); ++i) path += fmt::format("{:02x}{}", build_id[i], i == 0 ? "/" : "");
  return open_if_mapped(place((path + ".debug").c_str()), {});
}

}  // namespace tcpwhy::trace
