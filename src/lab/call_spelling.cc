#include "lab/call_spelling.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "base/text.h"
#include "lab/names.h"

namespace tcpwhy::lab {
namespace {

std::string_view family_word(int family) {
  if (family == AF_INET) return "AF_INET";
  if (family == AF_INET6) return "AF_INET6";
  return family == AF_UNSPEC ? "AF_UNSPEC" : "AF_?";
}

std::string shutdown_word(int how) {
  for (const NamedNumber& row : shutdown_ways())
    if (row.value == how) return std::string(row.name);
  return std::to_string(how);
}

std::string_view disposition_word(Disposition disposition) {
  switch (disposition) {
    case Disposition::ignore: return "SIG_IGN";
    case Disposition::handle: return "handler";
    case Disposition::default_action: break;
  }
  return "SIG_DFL";
}

}  // namespace

// As much of the payload as strace would look at, put together.
std::string quoted_payload(const ReadyCall& call, std::string_view payload) {
  constexpr std::size_t looked_at = 64;
  const std::string_view once =
      payload.substr(std::min<std::size_t>(call.payload_offset, payload.size()), call.payload_length);
  std::string start;
  for (std::uint32_t i = 0; i < call.payload_repeat && start.size() < looked_at && !once.empty(); ++i) start += once;
  return base::quote(start);
}

std::uint64_t payload_size(const ReadyCall& call) { return std::uint64_t{call.payload_length} * call.payload_repeat; }

std::string spell_sockaddr(const sockaddr_storage& address, socklen_t length) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET && length >= sizeof(sockaddr_in)) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return fmt::format("{{sa_family=AF_INET, sin_port=htons({}), sin_addr=inet_addr(\"{}\")}}", ntohs(v4.sin_port),
                       text.data());
  }
  if (address.ss_family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof v6);
    inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    return fmt::format(
        "{{sa_family=AF_INET6, sin6_port=htons({}), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, \"{}\", &sin6_addr), sin6_scope_id=0}}",
        ntohs(v6.sin6_port), text.data());
  }
  return fmt::format("{{sa_family={}}}", family_word(address.ss_family));
}

std::string spell_socket(const ReadyCall& call, std::string_view) {
  return fmt::format("{}, SOCK_STREAM, IPPROTO_IP", family_word(call.family));
}

std::string spell_address(const ReadyCall& call, std::string_view) {
  return fmt::format("{}, {}, {}", call.fd, spell_sockaddr(call.address, call.address_length), call.address_length);
}

std::string spell_number(const ReadyCall& call, std::string_view) {
  return fmt::format("{}, {}", call.fd, call.number);
}
std::string spell_number_only(const ReadyCall& call, std::string_view) { return std::to_string(call.number); }
std::string spell_fd(const ReadyCall& call, std::string_view) { return std::to_string(call.fd); }
std::string spell_nothing(const ReadyCall&, std::string_view) { return {}; }
std::string spell_accept(const ReadyCall& call, std::string_view) { return fmt::format("{}, ...", call.fd); }

std::string spell_send(const ReadyCall& call, std::string_view payload) {
  return fmt::format("{}, {}, {}, {}", call.fd, quoted_payload(call, payload), payload_size(call),
                     join_flags(message_flags(), call.flags));
}

std::string spell_write(const ReadyCall& call, std::string_view payload) {
  return fmt::format("{}, {}, {}", call.fd, quoted_payload(call, payload), payload_size(call));
}

std::string spell_recv(const ReadyCall& call, std::string_view) {
  return fmt::format("{}, ..., {}, {}", call.fd, call.size, join_flags(message_flags(), call.flags));
}

std::string spell_read(const ReadyCall& call, std::string_view) {
  return fmt::format("{}, ..., {}", call.fd, call.size);
}

std::string spell_shutdown(const ReadyCall& call, std::string_view) {
  return fmt::format("{}, {}", call.fd, shutdown_word(call.number));
}

std::string spell_setsockopt(const ReadyCall& call, std::string_view payload) {
  const SocketOption& option = socket_options()[call.option];
  if (option.value == OptionValue::key)
    return fmt::format("{}, {}, {}, {{tcpm_addr={}, tcpm_key={}}}, 216", call.fd, option.level_name, option.name,
                       spell_sockaddr(call.address, call.address_length), quoted_payload(call, payload));
  if (option.value == OptionValue::linger)
    return fmt::format("{}, {}, {}, {{l_onoff={}, l_linger={}}}, 8", call.fd, option.level_name, option.name,
                       call.values[0], call.values[1]);
  return fmt::format("{}, {}, {}, [{}], 4", call.fd, option.level_name, option.name, call.values[0]);
}

std::string spell_getsockopt(const ReadyCall& call, std::string_view) {
  const SocketOption& option = socket_options()[call.option];
  return fmt::format("{}, {}, {}, ...", call.fd, option.level_name, option.name);
}

std::string spell_poll(const ReadyCall& call, std::string_view) {
  return fmt::format("[{{fd={}, events={}}}], 1, {}", call.fd,
                     join_flags(poll_events(), POLLIN | POLLPRI | POLLOUT | POLLRDHUP), call.number);
}

std::string spell_signal(const ReadyCall& call, std::string_view) {
  return fmt::format("{}, {{sa_handler={}, sa_mask=[], sa_flags=0}}, NULL, 8", signal_name(call.number),
                     disposition_word(call.disposition));
}

// The process sends it to itself, so its number is that of the running process.
std::string spell_kill(const ReadyCall& call, std::string_view) {
  return fmt::format("getpid(), {}", signal_name(call.number));
}

std::string nothing(const ReadyCall&, const CallSlot&) { return {}; }

std::string back_address(const ReadyCall&, const CallSlot& slot) {
  if (slot.result < 0 || slot.remote_length == 0) return {};
  return fmt::format("{}, [{}]", spell_sockaddr(slot.remote, slot.remote_length), slot.remote_length);
}

std::string back_bytes(const ReadyCall&, const CallSlot& slot) {
  if (slot.result < 0) return {};
  return base::quote({slot.data, slot.data_length});
}

std::string back_option(const ReadyCall& call, const CallSlot& slot) {
  if (slot.result < 0) return {};
  const SocketOption& option = socket_options()[call.option];
  if (option.value == OptionValue::linger)
    return fmt::format("{{l_onoff={}, l_linger={}}}, [8]", slot.value, slot.second_value);
  if (option.is_errno && slot.value != 0) return fmt::format("[{}], [4]", errno_name(static_cast<int>(slot.value)));
  return fmt::format("[{}], [4]", slot.value);
}

std::string back_poll(const ReadyCall& call, const CallSlot& slot) {
  if (slot.result <= 0) return {};
  return fmt::format("[{{fd={}, revents={}}}]", call.fd, join_flags(poll_events(), static_cast<int>(slot.value)));
}

}  // namespace tcpwhy::lab
