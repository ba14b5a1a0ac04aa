#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <numeric>
#include <string>
#include <string_view>

#include "base/format.h"
#include "lab/link/netns.h"
#include "lab/sandbox/sandbox_internal.h"

namespace tcpwhy::lab {
namespace {

// Dies with the parent from here on; and now, if the parent died before the kernel knew of our wish.
void tie_to_parent(int parent_pidfd) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  pollfd polled{parent_pidfd, POLLIN, 0};
  if (::poll(&polled, 1, 0) > 0) ::_exit(1);
}

base::Status write_file(const char* path, const std::string& text) {
  const base::UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
  if (!fd.valid() || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return explain_refusal(errno, true);
  return {};
}

// user_namespaces(7): one's own ids may be mapped without privilege once setgroups is denied.
base::Status become_root(const Identity& outside) {
  // Kernels before 3.19 lack setgroups; nothing needs denying there.
  if (::access("/proc/self/setgroups", F_OK) == 0)
    if (auto done = write_file("/proc/self/setgroups", "deny"); !done) return done;
  if (auto done = write_file("/proc/self/uid_map", "0 " + std::to_string(outside.uid) + " 1"); !done) return done;
  return write_file("/proc/self/gid_map", "0 " + std::to_string(outside.gid) + " 1");
}

void default_signals() {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// 0 from /dev/null; 1 and 2 to standard error: the worker's parent alone writes to standard output.
void settle_standard_descriptors() {
  const int null = ::open("/dev/null", O_RDWR);
  if (null < 0) return;
  ::dup2(null, 0);
  if (::fcntl(2, F_GETFD) < 0) ::dup2(null, 2);
  ::dup2(2, 1);
  if (null > 2) ::close(null);
}

void close_all_but(std::vector<int> keep) {
  std::ranges::sort(keep);
  unsigned int next = 3;
  for (const int fd : keep) {
    if (fd < 0 || static_cast<unsigned int>(fd) < next) continue;
    if (static_cast<unsigned int>(fd) > next) ::close_range(next, static_cast<unsigned int>(fd) - 1, 0);
    next = static_cast<unsigned int>(fd) + 1;
  }
  ::close_range(next, ~0U, 0);
}

// Out of the way of the small numbers, which experiments show: a first socket is 3.
int move_up(int fd) {
  constexpr int high = 500;
  const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, high);
  if (moved < 0) return fd;
  ::close(fd);
  return moved;
}

// A namespace's table of connections is the machine's (some 260,000 buckets) unless its maker asked for one of its own
// (net.ipv4.tcp_child_ehash_entries, Linux 6.1). Every sock_diag dump walks it: 270 us instead of 20 as measured. So the
// wish is stated in a first namespace, and this second one and all that the worker makes follow it.
void get_small_socket_tables() {
  constexpr std::string_view setting = "net.ipv4.tcp_child_ehash_entries";
  if (!set_sysctl(setting, "1024")) return;
  if (::unshare(CLONE_NEWNET) != 0) return;
  // Inherited wishes are not: each namespace states its own.
  (void)set_sysctl(setting, "1024");
}

base::Result<Bytes> guarded(const std::function<base::Result<Bytes>()>& work) {
  try {
    return work();
  } catch (const std::exception& thrown) {
    return base::fail(base::ErrorKind::system,
                      base::format({"unexpected exception: {}", "意外的异常：{}"}, thrown.what()));
  }
}

base::Result<Bytes> settle_and_work(const WorkerSetup& setup, const std::function<base::Result<Bytes>()>& work) {
  if (setup.map)
    if (auto done = become_root(*setup.map); !done) return std::unexpected(std::move(done.error()));
  get_small_socket_tables();
  return guarded(work);
}

// The texts of an error, in the order in which they are written.
std::array<std::string_view, 4> texts_of(const base::Error& error) {
  return {error.message.en, error.message.zh, error.hint.en, error.hint.zh};
}

// The form of a result: this header, then the texts of the error, or the bytes. `complete` is written last.
struct ResultHeader {
  std::uint32_t complete = 0;
  std::uint32_t ok = 0;
  std::uint32_t kind = 0;
  std::array<std::uint32_t, 4> lengths{};
};
constexpr std::uint32_t complete_mark = 0x5f0c0de5;

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(fd, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(done));
  }
  return true;
}

template <class T>
std::string_view as_bytes(const T& value) {
  return {static_cast<const char*>(static_cast<const void*>(&value)), sizeof value};
}

std::optional<std::string> read_all(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return std::nullopt;
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t got = ::pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return std::nullopt;
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace

void write_result(int fd, const base::Result<Bytes>& result) {
  ResultHeader header;
  bool written = write_all(fd, as_bytes(header));
  if (result) {
    header.ok = 1;
    written =
        written && write_all(fd, {static_cast<const char*>(static_cast<const void*>(result->data())), result->size()});
  } else {
    header.kind = static_cast<std::uint32_t>(result.error().kind);
    const auto texts = texts_of(result.error());
    for (std::size_t i = 0; i < texts.size(); ++i) {
      header.lengths[i] = static_cast<std::uint32_t>(texts[i].size());
      written = written && write_all(fd, texts[i]);
    }
  }
  header.complete = complete_mark;
  if (written) (void)!::pwrite(fd, &header, sizeof header, 0);
}

std::optional<base::Result<Bytes>> read_result(int fd) {
  const auto file = read_all(fd);
  ResultHeader header;
  if (!file || file->size() < sizeof header) return std::nullopt;
  std::memcpy(&header, file->data(), sizeof header);
  if (header.complete != complete_mark) return std::nullopt;
  std::string_view body = std::string_view(*file).substr(sizeof header);
  if (header.ok) return Bytes(body.begin(), body.end());
  if (std::accumulate(header.lengths.begin(), header.lengths.end(), std::size_t{0}) != body.size()) return std::nullopt;
  std::array<std::string, 4> texts;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    texts[i] = body.substr(0, header.lengths[i]);
    body.remove_prefix(header.lengths[i]);
  }
  return base::fail(base::ErrorKind(header.kind), {texts[0], texts[1]}, {texts[2], texts[3]});
}

void run_worker(const WorkerSetup& setup, const std::function<base::Result<Bytes>(int)>& work) {
  tie_to_parent(setup.parent);
  ::setsid();
  settle_standard_descriptors();
  const int result = move_up(setup.result);
  const int progress = move_up(setup.progress);
  std::vector<int> keep = setup.keep;
  keep.push_back(result);
  keep.push_back(progress);
  close_all_but(std::move(keep));
  default_signals();
  write_result(result, settle_and_work(setup, [&] { return work(progress); }));
  ::_exit(0);
}

}  // namespace tcpwhy::lab
