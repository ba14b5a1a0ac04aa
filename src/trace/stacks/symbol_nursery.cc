#include "trace/stacks/symbol_nursery.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cinttypes>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "trace/stacks/symbol_messages.h"
#include "trace/stacks/symbol_worker.h"

namespace tcpwhy::trace::symbols {
namespace {

// The one socket, and nothing where others expect their output.
base::UniqueFd keep_only(int socket) {
  constexpr int place = 3;
  if (socket != place && ::dup2(socket, place) < 0) ::_exit(1);
  ::syscall(SYS_close_range, 4U, ~0U, 0U);
  const int nothing = ::open("/dev/null", O_RDWR);
  for (int fd = 0; fd < place && nothing >= 0; ++fd) ::dup2(nothing, fd);
  if (nothing > place) ::close(nothing);
  ::fcntl(place, F_SETFD, FD_CLOEXEC);
  return base::UniqueFd(place);
}

// What the tracer shares with the kernel (rings of packets, of records) is nothing for its children.
void unmap_shared() {
  std::vector<std::pair<std::uintptr_t, std::uintptr_t>> shared;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0, end = 0;
    std::array<char, 8> permissions{};
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " %4s", &begin, &end, permissions.data()) == 3 &&
        permissions[3] == 's')
      shared.emplace_back(begin, end);
  }
  // NOLINTNEXTLINE(performance-no-int-to-ptr): as /proc tells them
  for (const auto& [begin, end] : shared) ::munmap(reinterpret_cast<void*>(begin), end - begin);
}

void end(pid_t server) {
  if (server <= 0) return;
  ::kill(server, SIGKILL);
  while (::waitpid(server, nullptr, 0) < 0 && errno == EINTR) {
  }
}

[[noreturn]] void serve_requests(int inherited) {
  ::setpgid(0, 0);  // an interrupt from the terminal is for the tracer, who then still wants answers
  ::prctl(PR_SET_NAME, "tcpwhy-nursery");
  base::UniqueFd socket = keep_only(inherited);
  unmap_shared();
  pid_t server = -1;
  while (auto request = receive_message(socket.get(), WithDescriptors::yes)) {
    end(server);
    server = ::fork();
    if (server != 0) continue;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    socket.reset();
    serve(keep_only(request->fd.get()));
  }
  end(server);
  ::_exit(0);
}

}  // namespace

Nursery::Nursery() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return;
  base::UniqueFd ours(ends[0]);
  const base::UniqueFd its(ends[1]);
  pid_ = ::fork();
  if (pid_ == 0) serve_requests(its.get());
  if (pid_ > 0) socket_ = std::move(ours);
}

Nursery::~Nursery() {
  socket_.reset();
  while (pid_ > 0 && ::waitpid(pid_, nullptr, __WALL) < 0 && errno == EINTR) {
  }
}

base::UniqueFd Nursery::make_server() {
  std::array<int, 2> ends{};
  if (!socket_.valid() || ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return {};
  base::UniqueFd ours(ends[0]);
  const base::UniqueFd its(ends[1]);
  constexpr std::array<std::byte, 1> request{};
  if (!send_message(socket_.get(), request, its.get())) return {};
  return ours;
}

}  // namespace tcpwhy::trace::symbols
