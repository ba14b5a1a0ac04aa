// Calls that make, name, shut, ask and close sockets.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "calls/socket_options.h"
#include "lab/agents/call_run.h"

namespace tcpwhy::lab {
namespace {

using calls::OptionValue;

constexpr short asked_events = POLLIN | POLLPRI | POLLOUT | POLLRDHUP;

const calls::SocketOption& option_of(const ReadyCall& call) { return calls::socket_options()[call.option]; }
int level_of(const ReadyCall& call) { return static_cast<int>(option_of(call).level); }
int number_of(const ReadyCall& call) { return static_cast<int>(option_of(call).number); }

std::vector<std::uint8_t> bytes_of(const void* value, std::size_t size) {
  const auto* first = static_cast<const std::uint8_t*>(value);
  return {first, first + size};
}

// What setsockopt() is given.
std::vector<std::uint8_t> value_of_option(const ReadyCall& call, std::string_view batch) {
  switch (option_of(call).value) {
    case OptionValue::linger: {
      const linger both{call.values[0], call.values[1]};
      return bytes_of(&both, sizeof both);
    }
    case OptionValue::key: {
      const std::string key = payload_of(call, batch);
      tcp_md5sig signature{};
      std::memcpy(&signature.tcpm_addr, &call.address, sizeof call.address);
      signature.tcpm_keylen = static_cast<std::uint16_t>(std::min<std::size_t>(key.size(), TCP_MD5SIG_MAXKEYLEN));
      std::memcpy(signature.tcpm_key, key.data(), signature.tcpm_keylen);
      return bytes_of(&signature, sizeof signature);
    }
    case OptionValue::by_length:
    case OptionValue::number:
    case OptionValue::error: break;
  }
  return bytes_of(&call.values[0], sizeof call.values[0]);
}

// A call that asks for an address hands it back into the slot.
template <class Ask>
void ask_address(const ReadyCall& call, const CallContext& context, CallSlot& slot, Ask&& ask) {
  slot.address_length = sizeof slot.address;
  stamped(context, slot,
          [&] { return ask(call.fd, reinterpret_cast<sockaddr*>(&slot.address), &slot.address_length); });
}

}  // namespace

void lay_out_nothing(const MadeCall&, CallImage&) {}
void lay_out_descriptor(const MadeCall& made, CallImage& image) { image.pass(made.call.fd); }
void lay_out_descriptor_and_number(const MadeCall& made, CallImage& image) {
  image.pass(made.call.fd, made.call.number);
}

void run_socket(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  stamped(context, slot, [&] { return ::socket(call.family, SOCK_STREAM, 0); });
  note_made(slot);
}

void lay_out_socket(const MadeCall& made, CallImage& image) { image.pass(made.call.family, SOCK_STREAM, 0); }

void run_bind(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  stamped(context, slot, [&] { return ::bind(call.fd, address_of(call), call.address_length); });
  note_socket(slot, call.fd);
}

void run_connect(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  stamped(context, slot, [&] { return ::connect(call.fd, address_of(call), call.address_length); });
  note_socket(slot, call.fd);
}

void lay_out_address(const MadeCall& made, CallImage& image) {
  image.pass(made.call.fd, put_address(made.call, image), made.call.address_length);
}

void run_listen(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  stamped(context, slot, [&] { return ::listen(call.fd, call.number); });
  note_socket(slot, call.fd);
}

void run_accept(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  ask_address(call, context, slot, ::accept);
  note_made(slot);
}

void run_getpeername(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  ask_address(call, context, slot, ::getpeername);
  note_socket(slot, call.fd);
}

void run_getsockname(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  ask_address(call, context, slot, ::getsockname);
  note_socket(slot, call.fd);
}

void lay_out_asked_address(const MadeCall& made, CallImage& image) {
  const auto address = made.returned ? made.slot.address : sockaddr_storage{};
  const socklen_t length = made.returned ? made.slot.address_length : sizeof address;
  // Nothing handed back: nothing to show.
  if (length >= sizeof address.ss_family)
    image.pass(made.call.fd, image.put_value(address), image.put_value(length));
  else
    image.pass(made.call.fd, 0, 0);
}

void run_shutdown(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  stamped(context, slot, [&] { return ::shutdown(call.fd, call.number); });
}

void run_close(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  stamped(context, slot, [&] { return ::close(call.fd); });
}

void run_dup(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  stamped(context, slot, [&] { return ::dup(call.fd); });
  note_made(slot);
}

void run_setsockopt(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  const int level = level_of(call), number = number_of(call);
  const auto value = value_of_option(call, context.payload);
  const auto length = static_cast<socklen_t>(value.size());
  stamped(context, slot, [&] { return ::setsockopt(call.fd, level, number, value.data(), length); });
}

void lay_out_setsockopt(const MadeCall& made, CallImage& image) {
  const auto value = value_of_option(made.call, made.payload);
  image.pass(made.call.fd, level_of(made.call), number_of(made.call), image.put(std::as_bytes(std::span(value))),
             value.size());
}

void run_getsockopt(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  const int level = level_of(call), number = number_of(call);
  linger both{};
  socklen_t length = option_of(call).value == OptionValue::linger ? sizeof both : sizeof(int);
  stamped(context, slot, [&] { return ::getsockopt(call.fd, level, number, &both, &length); });
  slot.value = both.l_onoff;  // the first int, also of an option that is one int
  slot.second_value = both.l_linger;
  slot.value_length = length;
}

void lay_out_getsockopt(const MadeCall& made, CallImage& image) {
  std::array<std::int32_t, 2> value{};
  socklen_t length = 0;
  if (made.returned) {
    value = {static_cast<std::int32_t>(made.slot.value), static_cast<std::int32_t>(made.slot.second_value)};
    length = std::min<socklen_t>(made.slot.value_length, sizeof value);
  }
  image.pass(made.call.fd, level_of(made.call), number_of(made.call), image.put_value(value), image.put_value(length));
}

void run_poll(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  pollfd entry{call.fd, asked_events, 0};
  stamped(context, slot, [&] { return ::poll(&entry, 1, call.number); });
  slot.value = entry.revents;
}

void lay_out_poll(const MadeCall& made, CallImage& image) {
  const auto answered = made.returned ? static_cast<short>(made.slot.value) : short{0};
  image.pass(image.put_value(pollfd{made.call.fd, asked_events, answered}), 1, made.call.number);
}

void run_fcntl(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  stamped(context, slot, [&] { return ::fcntl(call.fd, F_SETFL, O_RDWR | call.flags); });
}

void lay_out_fcntl(const MadeCall& made, CallImage& image) {
  image.pass(made.call.fd, F_SETFL, O_RDWR | made.call.flags);
}

void run_socketpair(const ReadyCall&, const CallContext& context, CallSlot& slot) {
  std::array<int, 2> pair{-1, -1};
  stamped(context, slot, [&] { return ::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()); });
  slot.new_fd = pair[0];
  slot.second_value = pair[1];
}

void lay_out_socketpair(const MadeCall& made, CallImage& image) {
  std::array<std::int32_t, 2> pair{-1, -1};
  if (made.returned) pair = {made.slot.new_fd, static_cast<std::int32_t>(made.slot.second_value)};
  image.pass(AF_UNIX, SOCK_STREAM, 0, image.put_value(pair));
}

}  // namespace tcpwhy::lab
