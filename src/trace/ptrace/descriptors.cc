#include "trace/ptrace/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "base/unique_fd.h"
#include "trace/proc_text.h"

namespace tcpwhy::trace {
namespace {

constexpr std::int32_t most_descriptors = 65536;

std::optional<wire::SocketAddress> address_of(const sockaddr_storage& storage) {
  wire::SocketAddress address;
  if (storage.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &storage, sizeof v4);
    std::array<std::uint8_t, 4> octets;
    std::memcpy(octets.data(), &v4.sin_addr, octets.size());
    address = {wire::IpAddress::v4(octets), ntohs(v4.sin_port)};
  } else if (storage.ss_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &storage, sizeof v6);
    std::array<std::uint8_t, 16> octets;
    std::memcpy(octets.data(), &v6.sin6_addr, octets.size());
    address = {wire::IpAddress::v6(octets).unmapped(), ntohs(v6.sin6_port)};
  } else {
    return std::nullopt;
  }
  // Port 0: not bound, not connected.
  return address.port == 0 ? std::nullopt : std::optional(address);
}

}  // namespace

std::optional<wire::SocketAddress> address_in(std::span<const std::uint8_t> bytes) {
  sockaddr_storage storage{};
  std::memcpy(&storage, bytes.data(), std::min(bytes.size(), sizeof storage));
  return address_of(storage);
}

namespace {

template <class Ask>
std::optional<wire::SocketAddress> ask_address(int fd, Ask&& ask) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  return ask(fd, reinterpret_cast<sockaddr*>(&storage), &length) == 0 ? address_of(storage) : std::nullopt;
}

int option_of(int fd, int option) {
  int value = -1;
  socklen_t length = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

std::optional<TcpSocket> describe(int fd) {
  const int domain = option_of(fd, SO_DOMAIN);
  if (option_of(fd, SO_PROTOCOL) != IPPROTO_TCP || (domain != AF_INET && domain != AF_INET6)) return std::nullopt;
  TcpSocket socket;
  socklen_t length = sizeof socket.cookie;
  ::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &socket.cookie, &length);
  socket.local = ask_address(fd, ::getsockname);
  socket.remote = ask_address(fd, ::getpeername);
  return socket;
}

// The inode of a socket; 0: something else, or not open. Absent: nobody but root may know.
std::optional<std::uint32_t> inode_of(pid_t pid, std::int32_t fd) {
  std::array<char, 64> target;
  const ssize_t length = ::readlink(fmt::format("/proc/{}/fd/{}", pid, fd).c_str(), target.data(), target.size());
  if (length < 0 && errno == EACCES) return std::nullopt;
  return socket_inode({target.data(), length < 0 ? 0 : static_cast<std::size_t>(length)}).value_or(0);
}

std::optional<TcpSocket> find_by_inode(std::uint32_t inode) {
  auto sampler = SocketSampler::open();
  if (!sampler) return std::nullopt;
  const auto sample = sampler->sample();
  if (!sample) return std::nullopt;
  for (const recording::SocketSnapshot& snapshot : sample->sockets) {
    if (snapshot.inode != inode) continue;
    TcpSocket socket{.cookie = snapshot.cookie};
    if (snapshot.local.port != 0) socket.local = snapshot.local;
    if (snapshot.remote.port != 0) socket.remote = snapshot.remote;
    return socket;
  }
  return std::nullopt;
}

// Of a thread by itself since Linux 6.9 only (PIDFD_THREAD, linux/pidfd.h).
base::UniqueFd open_process(pid_t tid) {
  constexpr unsigned thread_itself = O_EXCL;
  base::UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, tid, 0)));
  if (!process.valid()) process.reset(static_cast<int>(::syscall(SYS_pidfd_open, tid, thread_itself)));
  return process;
}

}  // namespace

std::optional<std::uint32_t> unread_bytes(pid_t pid, std::int32_t fd) {
  const base::UniqueFd process = open_process(pid);
  if (!process.valid()) return std::nullopt;
  const base::UniqueFd copy(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
  int bytes = -1;
  // EINVAL: it listens.
  if (!copy.valid() || ::ioctl(copy.get(), SIOCINQ, &bytes) != 0 || bytes < 0) return std::nullopt;
  return static_cast<std::uint32_t>(bytes);
}

SocketLookup look_at_descriptor(pid_t pid, std::int32_t fd) {
  const auto inode = fd < 0 ? std::optional(std::uint32_t{0}) : inode_of(pid, fd);
  if (!inode) return {.socket = {}, .refused = true};
  if (*inode == 0) return {};
  const base::UniqueFd process = open_process(pid);
  if (process.valid()) {
    const base::UniqueFd copy(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
    if (copy.valid()) return {.socket = describe(copy.get())};
  }
  return {.socket = find_by_inode(*inode)};
}

void SocketsByCookie::learn(const TcpSocket& socket) {
  if (socket.cookie == 0) return;
  constexpr std::size_t most_young = 65536;
  if (young_.size() >= most_young) old_ = std::exchange(young_, {});
  young_.insert_or_assign(socket.cookie, socket);
}

TcpSocket SocketsByCookie::of(std::uint64_t cookie) {
  if (const auto known = young_.find(cookie); known != young_.end()) return known->second;
  const auto known = old_.find(cookie);
  if (known == old_.end()) return {.cookie = cookie, .local = {}, .remote = {}};
  const TcpSocket socket = known->second;
  learn(socket);
  return socket;
}

void Descriptors::set(std::int32_t fd, Kind kind) {
  if (fd < 0 || fd >= most_descriptors) return;
  const auto index = static_cast<std::size_t>(fd);
  if (index >= kinds_.size()) kinds_.resize(index + 1, Kind::unknown);
  tcp_count_ += (kind == Kind::tcp ? 1U : 0U);
  tcp_count_ -= (kinds_[index] == Kind::tcp ? 1U : 0U);
  kinds_[index] = kind;
}

const TcpSocket* Descriptors::find(pid_t pid, std::int32_t fd) {
  if (fd < 0) return nullptr;
  const auto index = static_cast<std::size_t>(fd);
  const Kind kind = index < kinds_.size() ? kinds_[index] : Kind::unknown;
  if (kind == Kind::other) return nullptr;
  if (kind == Kind::tcp) {
    const auto known = sockets_.find(fd);
    if (known != sockets_.end()) return &known->second;
  }
  const auto [socket, refused] = look_at_descriptor(pid, fd);
  was_refused_ = was_refused_ || refused;
  set(fd, socket ? Kind::tcp : Kind::other);
  if (!socket) return nullptr;
  return &sockets_.insert_or_assign(fd, *socket).first->second;
}

const TcpSocket* Descriptors::known(std::int32_t fd) const {
  if (fd < 0 || static_cast<std::size_t>(fd) >= kinds_.size()) return nullptr;
  if (kinds_[static_cast<std::size_t>(fd)] != Kind::tcp) return nullptr;
  const auto found = sockets_.find(fd);
  return found == sockets_.end() ? nullptr : &found->second;
}

bool Descriptors::is_other(std::int32_t fd) const {
  return fd >= 0 && static_cast<std::size_t>(fd) < kinds_.size() && kinds_[static_cast<std::size_t>(fd)] == Kind::other;
}

void Descriptors::learn(std::int32_t fd, const TcpSocket& socket) {
  if (fd < 0 || fd >= most_descriptors) return;
  set(fd, Kind::tcp);
  sockets_.insert_or_assign(fd, socket);
}

void Descriptors::refresh(pid_t pid, std::int32_t fd) {
  forget(fd);
  find(pid, fd);
}

void Descriptors::forget(std::int32_t fd) {
  if (fd < 0 || static_cast<std::size_t>(fd) >= kinds_.size()) return;
  set(fd, Kind::unknown);
  sockets_.erase(fd);
}

void Descriptors::forget(std::int32_t fd, std::uint64_t cookie) {
  const auto known = sockets_.find(fd);
  if (known != sockets_.end() && cookie != 0 && known->second.cookie != cookie) return;
  forget(fd);
}

void Descriptors::forget_range(std::uint32_t first, std::uint32_t last) {
  for (std::size_t fd = first; fd <= last && fd < kinds_.size(); ++fd) forget(static_cast<std::int32_t>(fd));
}

void Descriptors::forget_all_but_tcp() {
  for (Kind& kind : kinds_)
    if (kind == Kind::other) kind = Kind::unknown;
}

bool Descriptors::has_tcp_in(std::uint32_t first, std::uint32_t last) const {
  for (std::size_t fd = first; fd <= last && fd < kinds_.size(); ++fd)
    if (kinds_[fd] == Kind::tcp) return true;
  return false;
}

void Descriptors::scan(pid_t pid) {
  DIR* folder = ::opendir(fmt::format("/proc/{}/fd", pid).c_str());
  was_refused_ = was_refused_ || (folder == nullptr && errno == EACCES);
  if (folder == nullptr) return;
  std::int32_t seen = 0;
  while (const dirent* entry = ::readdir(folder)) {
    std::int32_t fd = -1;
    std::from_chars(entry->d_name, entry->d_name + std::strlen(entry->d_name), fd);
    if (fd >= 0 && ++seen <= most_descriptors) find(pid, fd);
  }
  ::closedir(folder);
}

}  // namespace tcpwhy::trace
