// Calls that send and receive: bytes in each way that there is, and descriptors.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/unique_fd.h"
#include "lab/agents/call_run.h"

namespace tcpwhy::lab {
namespace {

// Descriptors of our own must not take numbers that the experiment would get.
constexpr int own_descriptors = 200;
constexpr std::size_t most_in_a_pipe = 65536;  // pipe(7): its capacity

base::UniqueFd moved_up(int fd) {
  base::UniqueFd low(fd);
  return base::UniqueFd(::fcntl(low.get(), F_DUPFD_CLOEXEC, own_descriptors));
}

// A file of `size` bytes that exists nowhere.
base::UniqueFd file_of(std::uint64_t size) {
  base::UniqueFd file = moved_up(::memfd_create("bytes", MFD_CLOEXEC));
  const std::vector<char> bytes(size, 'x');
  if (file.valid() && ::pwrite(file.get(), bytes.data(), bytes.size(), 0) < 0) file.reset();
  return file;
}

std::size_t spliced_size(const ReadyCall& call) { return std::min<std::size_t>(call.size, most_in_a_pipe); }

void keep(CallSlot& slot, const char* received, std::size_t room) {
  if (slot.result <= 0) return;
  slot.data_length = static_cast<std::uint32_t>(
      std::min<std::size_t>({CallSlot::kept_bytes, room, static_cast<std::size_t>(slot.result)}));
  std::memcpy(slot.data, received, slot.data_length);
}

// Room for one descriptor as ancillary data, unix(7).
constexpr char passed_byte = 'f';

struct DescriptorMessage {
  char byte = passed_byte;
  iovec bytes{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};

  DescriptorMessage() {
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
  }
};

// The first bytes that are sent from `from` on: as much of them as a speller looks at.
std::uint64_t put_payload(const MadeCall& made, CallImage& image, std::uint64_t from = 0) {
  const ReadyCall& call = made.call;
  TCPWHY_CHECK(std::size_t{call.payload_offset} + call.payload_length <= made.payload.size());
  const std::string_view once = made.payload.substr(call.payload_offset, call.payload_length);
  const std::uint64_t size = std::min<std::uint64_t>(payload_size(call) - from, calls::payload_taken);
  std::string bytes;
  for (std::uint64_t i = 0; i < size; ++i) bytes += once[static_cast<std::size_t>((from + i) % once.size())];
  return image.put_text(bytes);
}

std::uint64_t put_received(const MadeCall& made, CallImage& image) {
  return made.returned ? image.put_value(made.slot.data) : image.put({});
}

// struct iovec and struct msghdr, with addresses of the image's.
using Vector = std::array<std::uint64_t, 2>;  // iov_base, iov_len

struct Message {
  std::uint64_t vectors = 0, vector_count = 0, control = 0, control_length = 0;
  std::uint32_t flags = 0;
};

std::uint64_t put_message(const Message& message, CallImage& image) {
  const std::array<std::uint64_t, 7> header = {
      0, 0, message.vectors, message.vector_count, message.control, message.control_length, message.flags};
  static_assert(sizeof header == sizeof(msghdr));
  return image.put_value(header);
}

std::uint64_t put_passed_descriptor(std::int32_t fd, CallImage& image) {
  std::array<char, CMSG_SPACE(sizeof fd)> control{};
  const cmsghdr header{.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  std::memcpy(control.data(), &header, sizeof header);
  std::memcpy(control.data() + sizeof header, &fd, sizeof fd);
  return image.put_value(control);
}

}  // namespace

// --- Bytes -----------------------------------------------------------------------------------------------------------

void run_send(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  const std::string bytes = payload_of(call, context.payload);
  stamped(context, slot, [&] { return ::send(call.fd, bytes.data(), bytes.size(), call.flags); });
}

void run_write(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  const std::string bytes = payload_of(call, context.payload);
  stamped(context, slot, [&] { return ::write(call.fd, bytes.data(), bytes.size()); });
}

void lay_out_sending(const MadeCall& made, CallImage& image) {
  image.pass(made.call.fd, put_payload(made, image), payload_size(made.call), made.call.flags);
}

void run_recv(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  std::vector<char> room(call.size);
  stamped(context, slot, [&] { return ::recv(call.fd, room.data(), room.size(), call.flags); });
  keep(slot, room.data(), room.size());
}

void run_read(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  std::vector<char> room(call.size);
  stamped(context, slot, [&] { return ::read(call.fd, room.data(), room.size()); });
  keep(slot, room.data(), room.size());
}

void lay_out_receiving(const MadeCall& made, CallImage& image) {
  image.pass(made.call.fd, put_received(made, image), made.call.size, made.call.flags);
}

void run_sendto(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  const std::string bytes = payload_of(call, context.payload);
  stamped(context, slot, [&] {
    return ::sendto(call.fd, bytes.data(), bytes.size(), call.flags, address_of(call), call.address_length);
  });
  note_socket(slot, call.fd);
}

void lay_out_sendto(const MadeCall& made, CallImage& image) {
  const ReadyCall& call = made.call;
  image.pass(call.fd, put_payload(made, image), payload_size(call), call.flags, put_address(call, image),
             call.address_length);
}

void run_sendmsg(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  std::string bytes = payload_of(call, context.payload);
  iovec piece{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  stamped(context, slot, [&] { return ::sendmsg(call.fd, &message, call.flags); });
}

void lay_out_sendmsg(const MadeCall& made, CallImage& image) {
  const Message message{.vectors = image.put_value(Vector{put_payload(made, image), payload_size(made.call)}),
                        .vector_count = 1};
  image.pass(made.call.fd, put_message(message, image), made.call.flags);
}

void run_writev(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  std::string bytes = payload_of(call, context.payload);
  const std::size_t half = bytes.size() / 2;
  const std::array<iovec, 2> pieces{{{bytes.data(), half}, {bytes.data() + half, bytes.size() - half}}};
  stamped(context, slot, [&] { return ::writev(call.fd, pieces.data(), static_cast<int>(pieces.size())); });
}

void lay_out_writev(const MadeCall& made, CallImage& image) {
  const std::uint64_t size = payload_size(made.call), half = size / 2;
  const std::array<Vector, 2> pieces{{{put_payload(made, image), half}, {put_payload(made, image, half), size - half}}};
  image.pass(made.call.fd, image.put_value(pieces), pieces.size());
}

void run_sendfile(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  const base::UniqueFd file = file_of(call.size);
  slot.other_fd = file.get();
  stamped(context, slot, [&] { return ::sendfile(call.fd, file.get(), nullptr, call.size); });
}

void lay_out_sendfile(const MadeCall& made, CallImage& image) {
  image.pass(made.call.fd, made.slot.other_fd, 0, made.call.size);
}

void run_splice(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  const std::size_t size = spliced_size(call);
  std::array<int, 2> ends{-1, -1};
  (void)::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK);
  const base::UniqueFd out = moved_up(ends[0]), in = moved_up(ends[1]);
  const std::vector<char> bytes(size, 'x');
  (void)!::write(in.get(), bytes.data(), bytes.size());
  slot.other_fd = out.get();
  stamped(context, slot, [&] { return ::splice(out.get(), nullptr, call.fd, nullptr, size, 0); });
}

void lay_out_splice(const MadeCall& made, CallImage& image) {
  image.pass(made.slot.other_fd, 0, made.call.fd, 0, spliced_size(made.call), 0);
}

// --- Descriptors -----------------------------------------------------------------------------------------------------

void run_send_fd(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  DescriptorMessage passing;
  cmsghdr* header = CMSG_FIRSTHDR(&passing.message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &call.passed_fd, sizeof call.passed_fd);
  stamped(context, slot, [&] { return ::sendmsg(call.fd, &passing.message, MSG_NOSIGNAL); });
}

void lay_out_send_fd(const MadeCall& made, CallImage& image) {
  const Message message{.vectors = image.put_value(Vector{image.put_value(passed_byte), sizeof passed_byte}),
                        .vector_count = 1,
                        .control = put_passed_descriptor(made.call.passed_fd, image),
                        .control_length = CMSG_SPACE(sizeof made.call.passed_fd)};
  image.pass(made.call.fd, put_message(message, image), MSG_NOSIGNAL);
}

void run_recv_fd(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  DescriptorMessage passing;
  stamped(context, slot, [&] { return ::recvmsg(call.fd, &passing.message, 0); });
  keep(slot, &passing.byte, sizeof passing.byte);
  slot.value = passing.message.msg_flags;
  const cmsghdr* header = slot.result > 0 ? CMSG_FIRSTHDR(&passing.message) : nullptr;
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) return;
  std::memcpy(&slot.new_fd, CMSG_DATA(header), sizeof slot.new_fd);
  note_socket(slot, slot.new_fd);
}

void lay_out_recv_fd(const MadeCall& made, CallImage& image) {
  Message message{.vectors = image.put_value(Vector{put_received(made, image), sizeof passed_byte}), .vector_count = 1};
  if (made.returned) {
    message.flags = static_cast<std::uint32_t>(made.slot.value);
    if (made.slot.new_fd >= 0) {
      message.control = put_passed_descriptor(made.slot.new_fd, image);
      message.control_length = CMSG_SPACE(sizeof made.slot.new_fd);
    }
  }
  image.pass(made.call.fd, put_message(message, image), 0);
}

}  // namespace tcpwhy::lab
