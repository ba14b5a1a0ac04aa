// fcntl, ioctl, setsockopt and getsockopt: what is set or asked depends on a second argument.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "calls/machine.h"
#include "calls/names.h"
#include "calls/socket_options.h"
#include "calls/spelling/spelling.h"

namespace tcpwhy::calls {
namespace {

constexpr std::uint64_t get_flags = F_GETFL, set_flags = F_SETFL;

// O_LARGEFILE is the kernel's, which the C library has as 0.
constexpr NamedValue open_rows[] = {
    {0100, "O_CREAT"},
    {0200, "O_EXCL"},
    {0400, "O_NOCTTY"},
    {01000, "O_TRUNC"},
    {02000, "O_APPEND"},
    {04000, "O_NONBLOCK"},
    {04010000, "O_SYNC"},
    {010000, "O_DSYNC"},
    {020000, "O_ASYNC"},
    {O_DIRECT, "O_DIRECT"},
    {machine::large_file_flag, "O_LARGEFILE"},
    {O_NOFOLLOW, "O_NOFOLLOW"},
    {01000000, "O_NOATIME"},
    {02000000, "O_CLOEXEC"},
    {010000000, "O_PATH"},
};

std::string spell_open_flags(std::uint32_t value) {
  std::string text = spell_value(access_modes(), value & O_ACCMODE, "O_???");
  if (const std::uint32_t rest = value & ~static_cast<std::uint32_t>(O_ACCMODE); rest != 0)
    text += "|" + spell_flags(open_flags(), rest, "O_???");
  return text;
}

constexpr NamedValue descriptor_flags[] = {{FD_CLOEXEC, "FD_CLOEXEC"}};

bool takes_no_argument(std::uint32_t command) {
  return command == F_GETFD || command == F_GETFL || command == F_GETOWN || command == 11 /* F_GETSIG */;
}

void spell_level_and_option(const CallView& call, std::string& out) {
  out += spell_value(option_levels(), call.flags(1), "SOL_??");
  out += ", " + spell_option(call.flags(1), call.flags(2));
}

OptionValue kind_of_value(const CallView& call) {
  const SocketOption* option = find_option(call.flags(1), call.flags(2));
  return option == nullptr ? OptionValue::by_length : option->value;
}

// Where the whole of it can be read: strace shows its first bytes.
void spell_key(const CallView& call, std::string& out) {
  const auto value = read_value<tcp_md5sig>(call.memory, call[3]);
  if (!value) return spell_bytes(call.memory, call[3], sizeof(tcp_md5sig), out);
  out += "{tcpm_addr=";
  spell_sockaddr(call.memory, call[3] + offsetof(tcp_md5sig, tcpm_addr),
                 value->tcpm_addr.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in), out);
  out += ", tcpm_key=";
  spell_bytes(call.memory, call[3] + offsetof(tcp_md5sig, tcpm_key),
              std::min<std::uint64_t>(value->tcpm_keylen, TCP_MD5SIG_MAXKEYLEN), out);
  out += '}';
}

// An option's value: a structure where it is known as one, else a number of four bytes or a string.
void spell_option_value(const CallView& call, std::uint64_t length, bool is_answer, std::string& out) {
  const std::uint64_t address = call[3];
  const OptionValue kind = kind_of_value(call);
  if (kind == OptionValue::linger && length >= sizeof(linger)) {
    const auto value = read_value<linger>(call.memory, address);
    if (!value) return spell_pointer(address, out);
    fmt::format_to(std::back_inserter(out), "{{l_onoff={}, l_linger={}}}", value->l_onoff, value->l_linger);
    return;
  }
  if (kind == OptionValue::key && length == sizeof(tcp_md5sig)) return spell_key(call, out);
  if (length != sizeof(int)) return spell_bytes(call.memory, address, length, out);
  const auto value = read_value<std::int32_t>(call.memory, address);
  if (!value) return spell_pointer(address, out);
  const bool is_error = is_answer && kind == OptionValue::error && *value != 0;
  const char* name = is_error ? strerrorname_np(*value) : nullptr;
  if (name != nullptr)
    fmt::format_to(std::back_inserter(out), "[{}]", name);
  else
    fmt::format_to(std::back_inserter(out), "[{}]", *value);
}

bool fills_a_number(std::uint32_t request) {
  return request == FIONREAD || request == TIOCOUTQ || request == SIOCATMARK || request == SIOCOUTQNSD;
}

// _IOC(_IOC_NONE, 0x89, 0xab, 0): asm-generic/ioctl.h
std::string spell_unknown_request(std::uint32_t request) {
  constexpr std::string_view directions[] = {"_IOC_NONE", "_IOC_WRITE", "_IOC_READ", "_IOC_READ|_IOC_WRITE"};
  const std::uint32_t size = request >> 16 & 0x3fff;
  return fmt::format("_IOC({}, {:#x}, {:#x}, {})", directions[request >> 30], request >> 8 & 0xff, request & 0xff,
                     size == 0 ? "0" : fmt::format("{:#x}", size));
}

}  // namespace

NamedValues open_flags() { return open_rows; }

void enter_fcntl(const CallView& call, std::string& out) {
  const std::uint32_t command = call.flags(1);
  fmt::format_to(std::back_inserter(out), "{}, {}", call.integer(0),
                 spell_value(descriptor_commands(), command, "F_???"));
  if (takes_no_argument(command)) return;
  out += ", ";
  if (command == set_flags)
    out += spell_open_flags(call.flags(2));
  else if (command == F_SETFD)
    out += spell_flags(descriptor_flags, call.flags(2), "FD_???");
  else if (command == F_DUPFD || command == F_DUPFD_CLOEXEC || command == F_SETOWN)
    fmt::format_to(std::back_inserter(out), "{}", call.integer(2));
  else
    fmt::format_to(std::back_inserter(out), "{:#x}", call[2]);
}

void return_fcntl(const CallView& call, std::string& out) {
  if (call.failed()) return;
  const auto value = static_cast<std::uint32_t>(call.result);
  if (call.flags(1) == get_flags) out += "flags " + spell_open_flags(value);
  if (call.flags(1) == F_GETFD && value != 0) out += "flags " + spell_flags(descriptor_flags, value, "FD_???");
}

void enter_setsockopt(const CallView& call, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}, ", call.integer(0));
  spell_level_and_option(call, out);
  out += ", ";
  const std::int32_t length = call.integer(4);
  if (length < 0)
    spell_pointer(call[3], out);
  else
    spell_option_value(call, static_cast<std::uint64_t>(length), false, out);
  fmt::format_to(std::back_inserter(out), ", {}", length);
}

void enter_getsockopt(const CallView& call, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}, ", call.integer(0));
  spell_level_and_option(call, out);
  out += ", ...";
}

void return_getsockopt(const CallView& call, std::string& out) {
  if (call.failed()) return;
  const auto length = read_value<std::int32_t>(call.memory, call[4]);
  if (!length || *length < 0) return;
  spell_option_value(call, static_cast<std::uint64_t>(*length), true, out);
  fmt::format_to(std::back_inserter(out), ", [{}]", *length);
}

void enter_ioctl(const CallView& call, std::string& out) {
  const std::uint32_t request = call.flags(1);
  const NamedValue* row = find_value(ioctl_requests(), request);
  fmt::format_to(std::back_inserter(out), "{}, {}, ", call.integer(0),
                 row == nullptr ? spell_unknown_request(request) : std::string(row->name));
  if (fills_a_number(request)) {
    out += "...";
    return;
  }
  const auto value =
      request == FIONBIO || request == FIOASYNC ? read_value<std::int32_t>(call.memory, call[2]) : std::nullopt;
  if (value)
    fmt::format_to(std::back_inserter(out), "[{}]", *value);
  else if (row == nullptr)
    fmt::format_to(std::back_inserter(out), "{:#x}", call[2]);
  else
    spell_pointer(call[2], out);
}

void return_ioctl(const CallView& call, std::string& out) {
  if (call.failed() || !fills_a_number(call.flags(1))) return;
  if (const auto value = read_value<std::int32_t>(call.memory, call[2]))
    fmt::format_to(std::back_inserter(out), "[{}]", *value);
  else
    spell_pointer(call[2], out);
}

}  // namespace tcpwhy::calls
