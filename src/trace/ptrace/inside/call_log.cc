#include "trace/ptrace/inside/call_log.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>

#include "calls/decode.h"
#include "trace/call_events.h"
#include "trace/ptrace/process_memory.h"

namespace tcpwhy::trace {
namespace {

// The memory that came along with a call.
class Snippets final : public calls::Memory {
 public:
  explicit Snippets(std::span<const std::byte> bytes) : bytes_(bytes) {}
  [[nodiscard]] std::vector<std::uint8_t> read(std::uint64_t address, std::size_t length) const override {
    for (auto rest = bytes_; rest.size() >= sizeof(inside_snippet);) {
      inside_snippet snippet;
      std::memcpy(&snippet, rest.data(), sizeof snippet);
      rest = rest.subspan(sizeof snippet);
      const std::size_t taken = std::min<std::size_t>(snippet.length, rest.size());
      if (address >= snippet.address && address - snippet.address < taken) {
        const auto skip = static_cast<std::size_t>(address - snippet.address);
        const auto* const begin = reinterpret_cast<const std::uint8_t*>(rest.data()) + skip;
        return {begin, begin + std::min(length, taken - skip)};
      }
      rest = rest.subspan(std::min((taken + 7) / 8 * 8, rest.size()));
    }
    return {};
  }

 private:
  std::span<const std::byte> bytes_;
};

std::optional<wire::SocketAddress> address_of(std::uint16_t family, const std::uint8_t* bytes, std::uint16_t port) {
  if (port == 0) return std::nullopt;
  if (family == AF_INET) {
    std::array<std::uint8_t, 4> octets;
    std::copy_n(bytes, octets.size(), octets.begin());
    return wire::SocketAddress{wire::IpAddress::v4(octets), port};
  }
  if (family != AF_INET6) return std::nullopt;
  std::array<std::uint8_t, 16> octets;
  std::copy_n(bytes, octets.size(), octets.begin());
  return wire::SocketAddress{wire::IpAddress::v6(octets).unmapped(), port};
}

calls::SyscallArguments arguments_of(const __u64 (&arguments)[6]) {
  calls::SyscallArguments copy;
  std::ranges::copy(arguments, copy.begin());
  return copy;
}

base::WallTime time_of(std::uint64_t ns) { return base::WallTime(std::chrono::nanoseconds(ns)); }

void tell_entry(const calls::CallRow& row, const calls::SyscallArguments& arguments, const calls::Memory& memory,
                const TcpSocket& socket, recording::CallEntered& entered) {
  tell(row, calls::decode_entry(row, arguments, memory), entered);
  if (socket.cookie == 0) return;
  entered.socket = socket.cookie;
  entered.local = socket.local;
  if (socket.remote) entered.remote = socket.remote;
}

}  // namespace

// Mapped IPv4 addresses as IPv6 ones: what the kernel hands out for such a socket, and unpacked() takes apart.
inside_socket packed(const TcpSocket& socket) {
  inside_socket made{};
  made.cookie = socket.cookie;
  using enum wire::IpFamily;
  const auto has_v6 = [](const auto& address) { return address && address->ip.family == v6; };
  const bool is_v6 = has_v6(socket.local) || has_v6(socket.remote);
  made.family = is_v6 ? AF_INET6 : AF_INET;
  const auto put = [is_v6](const std::optional<wire::SocketAddress>& from, __u8* address, __u16& port) {
    if (!from) return;
    port = from->port;
    const bool is_mapped = is_v6 && from->ip.family == v4;
    if (is_mapped) address[10] = address[11] = 0xff;
    std::copy_n(from->ip.bytes.begin(), from->ip.family == v4 ? 4 : 16, is_mapped ? address + 12 : address);
  };
  put(socket.local, made.local, made.local_port);
  put(socket.remote, made.remote, made.remote_port);
  return made;
}

TcpSocket unpacked(const inside_socket& socket) {
  return {socket.cookie, address_of(socket.family, socket.local, socket.local_port),
          address_of(socket.family, socket.remote, socket.remote_port)};
}

void append_events(const InsideCall& call, std::span<const std::byte> snippets, std::vector<recording::Event>& events) {
  const calls::CallRow* row = calls::find_call(call.record.number);
  if (row == nullptr) return;
  const Snippets memory(snippets);
  // What was handed back is looked for first: it may stand where something was given.
  const std::size_t given = std::min<std::size_t>(call.record.entry_bytes, snippets.size());
  std::vector<std::byte> turned(snippets.begin() + static_cast<std::ptrdiff_t>(given), snippets.end());
  turned.insert(turned.end(), snippets.begin(), snippets.begin() + static_cast<std::ptrdiff_t>(given));
  const calls::SyscallArguments arguments = arguments_of(call.record.arguments);
  const recording::ActorId actor{call.actor};
  const TcpSocket at_entry = unpacked(call.at_entry), at_return = unpacked(call.at_return);
  if (call.before.count > 0)
    events.push_back({time_of(call.before.until_ns), actor,
                      recording::CallsRepeated{
                          .call = call.call, .count = call.before.count, .since = time_of(call.before.since_ns)}});
  if (call.entry_is_told == 0) {
    recording::CallEntered entered;
    entered.call = call.call;
    tell_entry(*row, arguments, memory, at_entry, entered);
    events.push_back({time_of(call.record.id), actor, std::move(entered)});
  }
  recording::CallReturned returned;
  returned.call = call.call;
  tell(calls::decode_return(*row, arguments, call.record.result, Snippets(turned)), returned);
  returned.socket = at_entry.cookie;
  if (at_return.cookie != 0)
    returned.socket = at_return.cookie, returned.local = at_return.local, returned.remote = at_return.remote;
  events.push_back({time_of(call.record.returned_at), actor, std::move(returned)});
}

recording::CallEntered entry_of(const inside_slot& call, pid_t tid, std::uint32_t number, const TcpSocket& socket) {
  recording::CallEntered entered;
  entered.call = number;
  if (const calls::CallRow* row = calls::find_call(call.number); row != nullptr)
    tell_entry(*row, arguments_of(call.arguments), ProcessMemory(tid), socket, entered);
  return entered;
}

}  // namespace tcpwhy::trace
