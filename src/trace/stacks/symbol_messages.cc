#include "trace/stacks/symbol_messages.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace tcpwhy::trace::symbols {
namespace {

// Room for one descriptor.
union Control {
  cmsghdr aligned;
  std::array<char, CMSG_SPACE(sizeof(int))> bytes;
};

bool wait_for(int socket, short events, Deadline deadline) {
  for (;;) {
    int wait_ms = -1;
    if (deadline != never) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0) return false;
      wait_ms = static_cast<int>(std::min<std::int64_t>(left.count(), 60'000));
    }
    pollfd waiting{.fd = socket, .events = events, .revents = 0};
    const int ready = ::poll(&waiting, 1, wait_ms);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

base::UniqueFd descriptor_in(msghdr& message) {
  base::UniqueFd fd;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS || part->cmsg_len < CMSG_LEN(sizeof(int)))
      continue;
    int number = -1;
    std::memcpy(&number, CMSG_DATA(part), sizeof number);
    fd.reset(number);
  }
  return fd;
}

}  // namespace

bool send_message(int socket, std::span<const std::byte> bytes, int passed_fd, Deadline deadline) {
  iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};  // sendmsg() only reads it
  Control control{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (passed_fd >= 0) {
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    cmsghdr* const part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(part), &passed_fd, sizeof passed_fd);
  }
  for (;;) {
    if (::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
    if (errno == EAGAIN && !wait_for(socket, POLLOUT, deadline)) return false;
    if (errno != EAGAIN && errno != EINTR) return false;
  }
}

std::optional<Received> receive_message(int socket, WithDescriptors with, Deadline deadline) {
  Received received;
  received.bytes.resize(most_message);
  iovec piece{received.bytes.data(), received.bytes.size()};
  Control control{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (with == WithDescriptors::yes) {
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
  }
  for (;;) {
    if (!wait_for(socket, POLLIN, deadline)) return std::nullopt;
    const ssize_t count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count <= 0) return std::nullopt;
    received.fd = descriptor_in(message);
    received.bytes.resize(static_cast<std::size_t>(count));
    return received;
  }
}

}  // namespace tcpwhy::trace::symbols
