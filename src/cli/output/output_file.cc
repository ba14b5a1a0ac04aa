#include "cli/output/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <utility>
#include <variant>

#include "base/format.h"
#include "base/text.h"

namespace tcpwhy::cli {
namespace {

using Place = OutputFile::Place;
using base::UniqueFd;

constexpr mode_t ours_only = 0600;
constexpr int most_links = 40;  // as the kernel has it (path_resolution(7))
constexpr int most_names = 100;

constexpr base::Text standard_output{"standard output", "标准输出"};

base::OwnedText cannot_write(const std::string& path) {
  return base::format({"cannot write {}", "无法写入 {}"}, base::escape_controls(path));
}

// What stands at a place.
enum class Kind : std::uint8_t { file, folder, link, descriptor, fifo, device };

Kind kind_of(const struct stat& info, int fd) {
  if (S_ISLNK(info.st_mode)) {
    struct statfs system{};
    return fstatfs(fd, &system) == 0 && system.f_type == PROC_SUPER_MAGIC ? Kind::descriptor : Kind::link;
  }
  if (S_ISREG(info.st_mode)) return Kind::file;
  if (S_ISDIR(info.st_mode)) return Kind::folder;
  return S_ISFIFO(info.st_mode) ? Kind::fifo : Kind::device;
}

bool is_trusted(uid_t owner) { return owner == 0 || owner == geteuid(); }

std::unexpected<base::Error> of_somebody_else(const std::string& path, const base::Text& what, uid_t owner) {
  return base::fail(base::ErrorKind::privilege,
                    base::format({"{0}: {1} of uid {2}", "{0}：它是 uid {2} 的{1}"}, cannot_write(path), what, owner),
                    {"another name; or - for standard output", "换个名称；或用 - 表示标准输出"});
}

// Where `path` leads, one link after the other.
class Finder {
 public:
  explicit Finder(const std::string& path) : path_(path), rest_(path) {}

  // What is to be written to: a place for a file, or what is there already, opened.
  base::Result<std::variant<Place, UniqueFd>> find(bool overwrite) {
    for (int links = 0; links < most_links; ++links) {
      if (auto entered = enter_folder(); !entered) return std::unexpected(entered.error());
      const UniqueFd there(openat(place_.folder.get(), place_.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
      if (!there.valid() && errno == ENOENT) return std::move(place_);
      struct stat info{};
      if (!there.valid() || fstat(there.get(), &info) != 0) return base::fail_errno(cannot_write(path_));
      switch (kind_of(info, there.get())) {
        case Kind::folder: return base::fail_errno(cannot_write(path_), EISDIR);
        case Kind::file:
          if (overwrite) return std::move(place_);
          return base::fail(base::ErrorKind::usage,
                            base::format({"{} is there already", "{} 已存在"}, base::escape_controls(path_)),
                            {"another name; or --overwrite", "换个名称；或用 --overwrite"});
        case Kind::link:
          if (!is_trusted(info.st_uid)) return of_somebody_else(path_, {"a symbolic link", "符号链接"}, info.st_uid);
          if (auto followed = follow(there.get()); !followed) return std::unexpected(followed.error());
          continue;
        case Kind::fifo:
          if (!is_trusted(info.st_uid)) return of_somebody_else(path_, {"a FIFO", "FIFO"}, info.st_uid);
          return open_there(O_NOFOLLOW, &info);
        case Kind::descriptor: return open_descriptor();
        case Kind::device: return open_there(O_NOFOLLOW, &info);
      }
    }
    return base::fail_errno(cannot_write(path_), ELOOP);
  }

 private:
  using Found = base::Result<std::variant<Place, UniqueFd>>;

  // Splits what is left of the path into its folder, which is opened from the one before, and the name in it.
  base::Status enter_folder() {
    const std::size_t slash = rest_.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : rest_.substr(0, slash + 1);
    place_.name = slash == std::string::npos ? rest_ : rest_.substr(slash + 1);
    const int from = place_.folder.valid() ? place_.folder.get() : AT_FDCWD;
    UniqueFd entered(openat(from, folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!entered.valid()) return base::fail_errno(cannot_write(path_));
    if (place_.name.empty() || place_.name == "." || place_.name == "..")
      return base::fail_errno(cannot_write(path_), rest_.empty() ? ENOENT : EISDIR);
    place_.folder = std::move(entered);
    return {};
  }

  // Of the link that was looked at, not of one that has been put in its place.
  base::Status follow(int link) {
    std::array<char, PATH_MAX> target{};
    const ssize_t length = readlinkat(link, "", target.data(), target.size());
    if (length < 0) return base::fail_errno(cannot_write(path_));
    rest_.assign(target.data(), static_cast<std::size_t>(length));
    return {};
  }

  Found open_there(int no_follow, const struct stat* expected) {
    UniqueFd fd(openat(place_.folder.get(), place_.name.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC | no_follow));
    if (!fd.valid()) return base::fail_errno(cannot_write(path_));
    struct stat info{};
    if (expected != nullptr &&
        (fstat(fd.get(), &info) != 0 || info.st_dev != expected->st_dev || info.st_ino != expected->st_ino))
      return base::fail(
          base::ErrorKind::system,
          base::format({"{}: it changes while it is opened", "{}：打开时它发生了变化"}, cannot_write(path_)));
    return fd;
  }

  // /proc/self/fd/N, where /dev/stdout and /dev/fd lead: the descriptor itself, so that what is written stands behind what is there.
  Found open_descriptor() {
    struct stat folder{}, ours{};
    const bool is_ours = fstat(place_.folder.get(), &folder) == 0 && stat("/proc/self/fd", &ours) == 0 &&
                         folder.st_dev == ours.st_dev && folder.st_ino == ours.st_ino;
    if (!is_ours) return open_there(0, nullptr);
    int number = -1;
    std::from_chars(place_.name.data(), place_.name.data() + place_.name.size(), number);
    UniqueFd fd(fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    if (!fd.valid()) return base::fail_errno(cannot_write(path_));
    return fd;
  }

  const std::string& path_;
  std::string rest_;
  Place place_;
};

std::string random_name() {
  std::uint64_t number = 0;
  (void)getrandom(&number, sizeof number, GRND_NONBLOCK);
  return fmt::format(".tcpwhy-{:016x}", number);
}

struct TemporaryFile {
  UniqueFd fd;
  std::string name;  // empty: none
};

base::Result<TemporaryFile> make_temporary(const Place& place, const std::string& path,
                                           OutputFile::Temporary temporary) {
  const bool can_be_named = access("/proc/self/fd", X_OK) == 0;  // linkat(2)
  const int folder = place.folder.get();
  if (temporary == OutputFile::Temporary::nameless && can_be_named) {
    UniqueFd fd(openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, ours_only));
    if (fd.valid()) return TemporaryFile{std::move(fd), {}};
    // A file system, or a kernel, that has no such files.
    // EPERM: overlayfs, of a folder that has been deleted; what the other way says then is so.
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT && errno != EPERM)
      return base::fail_errno(cannot_write(path));
  }
  for (int i = 0; i < most_names; ++i) {
    std::string name = random_name();
    UniqueFd fd(openat(folder, name.c_str(), O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, ours_only));
    if (fd.valid()) return TemporaryFile{std::move(fd), std::move(name)};
    if (errno != EEXIST) break;
  }
  return base::fail_errno(cannot_write(path));
}

}  // namespace

OutputFile::OutputFile(std::string path, base::UniqueFd fd, Place place, bool overwrite)
    : path_(std::move(path)),
      fd_(std::move(fd)),
      out_(fd_.get(),
           path_ == "-" ? base::owned(standard_output) : base::format({"{}", " {}"}, base::escape_controls(path_))),
      place_(std::move(place)),
      overwrite_(overwrite),
      appeared_(!place_.folder.valid()) {}

OutputFile::~OutputFile() {
  if (fd_.valid() && !name_now_.empty()) unlinkat(place_.folder.get(), name_now_.c_str(), 0);
}

base::Result<OutputFile> OutputFile::open(const std::string& path, bool overwrite, Temporary temporary) {
  if (path == "-") {
    UniqueFd fd(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    if (!fd.valid()) return base::fail_errno(base::owned(standard_output));
    return OutputFile(path, std::move(fd), {}, overwrite);
  }
  auto found = Finder(path).find(overwrite);
  if (!found) return std::unexpected(found.error());
  if (auto* fd = std::get_if<UniqueFd>(&*found)) return OutputFile(path, std::move(*fd), {}, overwrite);
  auto& place = std::get<Place>(*found);
  auto made = make_temporary(place, path, temporary);
  if (!made) return std::unexpected(made.error());
  OutputFile file(path, std::move(made->fd), std::move(place), overwrite);
  file.name_now_ = std::move(made->name);
  return file;
}

capfile::Sink OutputFile::sink() {
  return [this](std::span<const std::uint8_t> bytes) {
    out_.write({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    return out_.status();
  };
}

// linkat(2) and RENAME_NOREPLACE fail where the name is taken, be it by a link to nowhere. Returns 0 or an errno.
int OutputFile::give_name(const std::string& name, bool replace) {
  const int folder = place_.folder.get();
  if (name_now_.empty() && replace) {
    const std::string between = random_name();
    if (const int error = give_name(between, false)) return error;
    name_now_ = between;
  }
  int failed = 0;
  if (!name_now_.empty())
    failed = renameat2(folder, name_now_.c_str(), folder, name.c_str(), replace ? 0U : unsigned{RENAME_NOREPLACE});
  else
    failed =
        linkat(AT_FDCWD, fmt::format("/proc/self/fd/{}", fd_.get()).c_str(), folder, name.c_str(), AT_SYMLINK_FOLLOW);
  // A file system without RENAME_NOREPLACE.
  if (failed != 0 && errno == EINVAL && !replace && !name_now_.empty()) {
    failed = linkat(folder, name_now_.c_str(), folder, name.c_str(), 0);
    if (failed == 0) unlinkat(folder, name_now_.c_str(), 0);
  }
  if (failed != 0) return errno;
  name_now_.clear();
  return 0;
}

base::Status OutputFile::appear() {
  if (appeared_) return {};
  const int error = give_name(place_.name, overwrite_);
  appeared_ = error == 0;
  if (appeared_) return {};
  struct stat info{};
  const std::string aside = place_.name + random_name();
  const bool is_kept =
      error == EEXIST && fstat(fd_.get(), &info) == 0 && info.st_size > 0 && give_name(aside, false) == 0;
  if (!is_kept) return base::fail_errno(cannot_write(path_), error);
  return base::fail(
      base::ErrorKind::system,
      base::format({"{}: somebody else has made it meanwhile", "{}：其间已有别人创建了它"}, cannot_write(path_)),
      base::format({"what was to be written is beside it, in {}", "要写入的内容在它旁边：{}"},
                   base::escape_controls(aside)));
}

base::Status OutputFile::finish() {
  if (const auto written = out_.status(); !written) return written;
  if (place_.folder.valid() && fsync(fd_.get()) != 0 && errno != EINVAL) return base::fail_errno(cannot_write(path_));
  if (auto appeared = appear(); !appeared) return appeared;
  if (::close(fd_.release()) != 0) return base::fail_errno(cannot_write(path_));
  return {};
}

void add_overwrite(CLI::App& app, bool& overwrite) {
  app.add_flag("--overwrite", overwrite,
               said({"Replace the files to be written that are there already", "覆盖已存在的输出文件"}));
}

}  // namespace tcpwhy::cli
