#include "calls/spelling/spelling.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/text.h"
#include "calls/names.h"
#include "calls/socket_options.h"

namespace tcpwhy::calls {
namespace {

constexpr std::size_t shown_bytes = payload_taken;

// struct iovec, struct msghdr and struct cmsghdr of a 64-bit process (bits/types/struct_iovec.h, bits/socket.h).
struct RemoteVector {
  std::uint64_t base, length;
};
struct RemoteMessage {
  std::uint64_t name;
  std::uint32_t name_length, padding;
  std::uint64_t vectors, vector_count, control, control_length;
  std::uint32_t flags, end_padding;
};
static_assert(sizeof(RemoteMessage) == 56);
struct RemoteControl {
  std::uint64_t length;
  std::int32_t level, type;
};

std::string_view view_of(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// As strace: `...` where the string is longer than what is shown.
void quote_cut(std::span<const std::uint8_t> bytes, bool longer, std::string& out) {
  out += base::quote(view_of(bytes), bytes.size());
  if (longer) out += "...";
}

template <class T>
T copy_of(std::span<const std::uint8_t> bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
  return value;
}

void spell_unix(std::span<const std::uint8_t> path, std::string& out) {
  if (path.empty()) {
    out += "{sa_family=AF_UNIX}";
    return;
  }
  const bool abstract = path[0] == 0;
  const auto end = abstract ? path.end() : std::find(path.begin(), path.end(), std::uint8_t{0});
  const auto name = path.subspan(abstract ? 1 : 0, static_cast<std::size_t>(end - path.begin()) - (abstract ? 1 : 0));
  fmt::format_to(std::back_inserter(out), "{{sa_family=AF_UNIX, sun_path={}{}}}", abstract ? "@" : "",
                 base::quote(view_of(name), name.size()));
}

void spell_v4(std::span<const std::uint8_t> bytes, std::string& out) {
  const auto address = copy_of<sockaddr_in>(bytes);
  std::array<char, INET_ADDRSTRLEN> text{};
  inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
  fmt::format_to(std::back_inserter(out), "{{sa_family=AF_INET, sin_port=htons({}), sin_addr=inet_addr(\"{}\")}}",
                 ntohs(address.sin_port), text.data());
}

void spell_v6(std::span<const std::uint8_t> bytes, std::string& out) {
  const auto address = copy_of<sockaddr_in6>(bytes);
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(AF_INET6, &address.sin6_addr, text.data(), text.size());
  fmt::format_to(std::back_inserter(out),
                 "{{sa_family=AF_INET6, sin6_port=htons({}), sin6_flowinfo=htonl({}), inet_pton(AF_INET6, \"{}\", "
                 "&sin6_addr), sin6_scope_id={}}}",
                 ntohs(address.sin6_port), ntohl(address.sin6_flowinfo), text.data(), address.sin6_scope_id);
}

bool is_rights(const RemoteControl& header) { return header.level == SOL_SOCKET && header.type == SCM_RIGHTS; }

void spell_rights(std::span<const std::uint8_t> data, std::string& out) {
  spell_array(data.size() / sizeof(std::int32_t), out, [&](std::uint64_t i) {
    fmt::format_to(std::back_inserter(out), "{}", copy_of<std::int32_t>(data.subspan(i * sizeof(std::int32_t))));
    return true;
  });
}

void spell_control_type(const RemoteControl& header, std::string& out) {
  constexpr NamedValue socket_types_of_control[] = {{1, "SCM_RIGHTS"}, {2, "SCM_CREDENTIALS"}, {3, "SCM_SECURITY"}};
  const auto type = static_cast<std::uint32_t>(header.type);
  const NamedValue* row = header.level == SOL_SOCKET ? find_value(socket_types_of_control, type) : nullptr;
  const SocketOption* option = find_option(static_cast<std::uint32_t>(header.level), type);
  if (row != nullptr)
    out += row->name;
  else if (option != nullptr)
    out += option->name;
  else
    fmt::format_to(std::back_inserter(out), "{:#x}", type);
}

constexpr std::uint64_t most_control = 2048;  // bytes: more than 253 descriptors take

// cmsg(3): each header with its data, the next aligned to 8 bytes. `take(header, data)` for each; false ends it. Data that the header
// claims beyond what is there isn't there.
template <class Take>
void for_each_control(std::span<const std::uint8_t> bytes, Take&& take) {
  while (bytes.size() >= sizeof(RemoteControl)) {
    const auto header = copy_of<RemoteControl>(bytes);
    const auto whole =
        static_cast<std::size_t>(std::clamp<std::uint64_t>(header.length, sizeof(RemoteControl), bytes.size()));
    if (!take(header, bytes.subspan(sizeof header, whole - sizeof header)) || header.length < sizeof header) return;
    bytes = bytes.subspan(std::min((whole + 7) & ~std::size_t{7}, bytes.size()));
  }
}

void spell_control(const Memory& memory, std::uint64_t address, std::uint64_t length, std::string& out) {
  const auto bytes = memory.read(address, static_cast<std::size_t>(std::min(length, most_control)));
  if (bytes.size() < sizeof(RemoteControl)) return spell_pointer(address, out);
  bool first = true;
  out += '[';
  for_each_control(bytes, [&](const RemoteControl& header, std::span<const std::uint8_t> data) {
    if (!std::exchange(first, false)) out += ", ";
    if (out.size() > most_text) {
      out += "...";
      return false;
    }
    fmt::format_to(std::back_inserter(out), "{{cmsg_len={}, cmsg_level={}, cmsg_type=", header.length,
                   spell_value(option_levels(), static_cast<std::uint32_t>(header.level), "SOL_???"));
    spell_control_type(header, out);
    if (!data.empty()) {
      out += ", cmsg_data=";
      if (is_rights(header))
        spell_rights(data, out);
      else
        quote_cut(data.first(std::min(data.size(), shown_bytes)), data.size() > shown_bytes, out);
    }
    out += '}';
    return true;
  });
  if (length > most_control) out += ", ...";
  out += ']';
}

}  // namespace

void spell_pointer(std::uint64_t address, std::string& out) {
  if (address == 0)
    out += "NULL";
  else
    fmt::format_to(std::back_inserter(out), "{:#x}", address);
}

void spell_bytes(const Memory& memory, std::uint64_t address, std::uint64_t length, std::string& out) {
  if (address == 0) return spell_pointer(address, out);
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(length, shown_bytes));
  const auto bytes = wanted == 0 ? std::vector<std::uint8_t>() : memory.read(address, wanted);
  if (bytes.size() < wanted) return spell_pointer(address, out);
  quote_cut(std::span(bytes).first(wanted), length > shown_bytes, out);
}

void spell_string(const Memory& memory, std::uint64_t address, std::string& out) {
  if (address == 0) return spell_pointer(address, out);
  const auto bytes = memory.read(address, shown_bytes + 1);
  const auto end = std::find(bytes.begin(), bytes.end(), std::uint8_t{0});
  if (end == bytes.end() && bytes.size() <= shown_bytes) return spell_pointer(address, out);
  const auto length = static_cast<std::size_t>(end - bytes.begin());
  quote_cut(std::span(bytes).first(std::min(length, shown_bytes)), length > shown_bytes, out);
}

std::optional<wire::SocketAddress> read_sockaddr(const Memory& memory, std::uint64_t address, std::uint64_t length) {
  if (address == 0 || length < sizeof(sockaddr_in)) return std::nullopt;
  const auto bytes =
      memory.read(address, static_cast<std::size_t>(std::min<std::uint64_t>(length, sizeof(sockaddr_in6))));
  if (bytes.size() < sizeof(sockaddr_in)) return std::nullopt;
  const auto family = copy_of<std::uint16_t>(bytes);
  if (family == AF_INET) {
    const auto v4 = copy_of<sockaddr_in>(bytes);
    std::array<std::uint8_t, 4> octets;
    std::memcpy(octets.data(), &v4.sin_addr, octets.size());
    return wire::SocketAddress{wire::IpAddress::v4(octets), ntohs(v4.sin_port)};
  }
  if (family != AF_INET6 || bytes.size() < sizeof(sockaddr_in6)) return std::nullopt;
  const auto v6 = copy_of<sockaddr_in6>(bytes);
  std::array<std::uint8_t, 16> octets;
  std::memcpy(octets.data(), &v6.sin6_addr, octets.size());
  return wire::SocketAddress{wire::IpAddress::v6(octets).unmapped(), ntohs(v6.sin6_port)};
}

void spell_sockaddr(const Memory& memory, std::uint64_t address, std::uint64_t length, std::string& out) {
  constexpr std::uint64_t most_address = sizeof(sockaddr_storage);
  const auto wanted = static_cast<std::size_t>(std::min(length, most_address));
  if (address == 0 || wanted < sizeof(std::uint16_t)) return spell_pointer(address, out);
  const auto bytes = memory.read(address, wanted);
  if (bytes.size() < wanted) return spell_pointer(address, out);
  const auto family = copy_of<std::uint16_t>(bytes);
  const std::span rest = std::span(bytes).subspan(sizeof family);
  if (family == AF_UNIX) return spell_unix(rest.first(std::min(rest.size(), sizeof(sockaddr_un::sun_path))), out);
  if (family == AF_INET && bytes.size() >= sizeof(sockaddr_in)) return spell_v4(bytes, out);
  if (family == AF_INET6 && bytes.size() >= sizeof(sockaddr_in6)) return spell_v6(bytes, out);
  fmt::format_to(std::back_inserter(out), "{{sa_family={}", spell_value(address_families(), family, "AF_???"));
  if (!rest.empty()) {
    out += ", sa_data=";
    quote_cut(rest.first(std::min(rest.size(), shown_bytes)), rest.size() > shown_bytes, out);
  }
  out += '}';
}

void spell_io_vectors(const Memory& memory, std::uint64_t address, std::uint64_t count, std::uint64_t payload,
                      std::string& out) {
  if (address == 0) return spell_pointer(address, out);
  if (count != 0 && !read_value<RemoteVector>(memory, address)) return spell_pointer(address, out);
  spell_array(count, out, [&](std::uint64_t i) {
    const std::uint64_t place = address + i * sizeof(RemoteVector);
    const auto vector = read_value<RemoteVector>(memory, place);
    if (!vector) {
      spell_pointer(place, out);
      return false;
    }
    const std::uint64_t held = std::min(vector->length, payload);
    if (payload != UINT64_MAX) payload -= held;
    out += "{iov_base=";
    spell_bytes(memory, vector->base, held, out);
    fmt::format_to(std::back_inserter(out), ", iov_len={}}}", vector->length);
    return true;
  });
}

void spell_message_header(const Memory& memory, std::uint64_t address, std::uint64_t payload, std::string& out) {
  const auto header = read_value<RemoteMessage>(memory, address);
  if (!header) return spell_pointer(address, out);
  out += "{msg_name=";
  spell_sockaddr(memory, header->name, header->name_length, out);
  fmt::format_to(std::back_inserter(out), ", msg_namelen={}, msg_iov=", static_cast<std::int32_t>(header->name_length));
  spell_io_vectors(memory, header->vectors, header->vector_count, payload, out);
  fmt::format_to(std::back_inserter(out), ", msg_iovlen={}", header->vector_count);
  if (header->control_length != 0) {
    out += ", msg_control=";
    spell_control(memory, header->control, header->control_length, out);
  }
  fmt::format_to(std::back_inserter(out), ", msg_controllen={}, msg_flags={}}}", header->control_length,
                 spell_flags(message_flags(), header->flags, "MSG_???"));
}

void spell_time(const Memory& memory, std::uint64_t address, std::string_view fraction, std::string& out) {
  const auto time = read_value<std::array<std::int64_t, 2>>(memory, address);
  if (!time) return spell_pointer(address, out);
  fmt::format_to(std::back_inserter(out), "{{tv_sec={}, tv_{}={}}}", (*time)[0], fraction, (*time)[1]);
}

void spell_signal_mask(const Memory& memory, std::uint64_t address, std::string& out) {
  const auto bits = read_value<std::uint64_t>(memory, address);
  if (bits)
    out += spell_signal_set(*bits);
  else
    spell_pointer(address, out);
}

std::optional<std::uint64_t> count_io_vectors(const Memory& memory, std::uint64_t address, std::uint64_t count) {
  if (count == 0) return 0;
  // UIO_MAXIOV: the kernel refuses more.
  if (count > 1024) return std::nullopt;
  const auto bytes = memory.read(address, static_cast<std::size_t>(count) * sizeof(RemoteVector));
  if (bytes.size() < static_cast<std::size_t>(count) * sizeof(RemoteVector)) return std::nullopt;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i)
    sum += copy_of<RemoteVector>(std::span(bytes).subspan(i * sizeof(RemoteVector))).length;
  return sum;
}

std::vector<std::int32_t> passed_descriptors(const Memory& memory, std::uint64_t address) {
  std::vector<std::int32_t> descriptors;
  const auto header = read_value<RemoteMessage>(memory, address);
  if (!header || header->control == 0 || header->control_length == 0) return descriptors;
  const auto bytes =
      memory.read(header->control, static_cast<std::size_t>(std::min(header->control_length, most_control)));
  for_each_control(bytes, [&](const RemoteControl& control, std::span<const std::uint8_t> data) {
    constexpr std::size_t most = 253;
    if (!is_rights(control)) return true;
    for (std::size_t at = 0; at + sizeof(std::int32_t) <= data.size() && descriptors.size() < most;
         at += sizeof(std::int32_t))
      descriptors.push_back(copy_of<std::int32_t>(data.subspan(at)));
    return true;
  });
  return descriptors;
}

std::optional<std::uint64_t> count_message(const Memory& memory, std::uint64_t address) {
  const auto header = read_value<RemoteMessage>(memory, address);
  if (!header) return std::nullopt;
  return count_io_vectors(memory, header->vectors, header->vector_count);
}

}  // namespace tcpwhy::calls
