// The pieces of which the lines of calls are made: addresses, bytes, structures in a traced process's memory.
//
// Everything read is hostile. Nothing is read beyond what is shown: 32 bytes of a string, 32 elements of an array, and no line
// grows much beyond most_text.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "calls/decode.h"
#include "calls/memory.h"
#include "calls/names.h"
#include "wire/address.h"

namespace tcpwhy::calls {

inline constexpr std::size_t most_elements = 32;
inline constexpr std::size_t most_text = 4096;  // bytes of a line after which arrays end in "..."

// A call as a speller sees it.
struct CallView {
  const SyscallArguments& arguments;
  const Memory& memory;
  std::int64_t result = 0;  // at its return: the kernel's, -errno for a failure

  [[nodiscard]] std::uint64_t operator[](std::size_t i) const { return arguments[i]; }
  // The kernel takes descriptors, flags and most counts as ints: the registers' upper halves say nothing.
  [[nodiscard]] std::int32_t integer(std::size_t i) const { return static_cast<std::int32_t>(arguments[i]); }
  [[nodiscard]] std::uint32_t flags(std::size_t i) const { return static_cast<std::uint32_t>(arguments[i]); }
  [[nodiscard]] bool failed() const { return is_error(result); }
};

template <class T>
std::optional<T> read_value(const Memory& memory, std::uint64_t address) {
  if (address == 0) return std::nullopt;
  const auto bytes = memory.read(address, sizeof(T));
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

// Each appends to `out`.
void spell_pointer(std::uint64_t address, std::string& out);  // NULL, 0x7ffc12345678
// `length` bytes as a string, of which 32 are shown; the address where they can't be read.
void spell_bytes(const Memory& memory, std::uint64_t address, std::uint64_t length, std::string& out);
// A string that ends with a zero byte.
void spell_string(const Memory& memory, std::uint64_t address, std::string& out);
// {sa_family=AF_INET, ...}
// An Internet address and its port; nothing for another family, and for what can't be read.
std::optional<wire::SocketAddress> read_sockaddr(const Memory& memory, std::uint64_t address, std::uint64_t length);
void spell_sockaddr(const Memory& memory, std::uint64_t address, std::uint64_t length, std::string& out);
// [{iov_base="...", iov_len=3}, ...]: `payload` is how many bytes they hold in all (received), or UINT64_MAX (to be sent).
void spell_io_vectors(const Memory& memory, std::uint64_t address, std::uint64_t count, std::uint64_t payload,
                      std::string& out);
void spell_message_header(const Memory& memory, std::uint64_t address, std::uint64_t payload, std::string& out);
// {tv_sec=1, tv_nsec=0} or, with "usec", a timeval.
void spell_time(const Memory& memory, std::uint64_t address, std::string_view fraction, std::string& out);
// [INT TERM]
void spell_signal_mask(const Memory& memory, std::uint64_t address, std::string& out);
// "[", the elements and "]", and "..." for those that aren't shown. `spell(i)` appends element i; false: it couldn't, and
// the array ends there.
template <class Spell>
void spell_array(std::uint64_t count, std::string& out, Spell&& spell) {
  out += '[';
  for (std::uint64_t i = 0; i < count; ++i) {
    if (i != 0) out += ", ";
    if (i == most_elements || out.size() > most_text) {
      out += "...";
      break;
    }
    if (!spell(i)) break;
  }
  out += ']';
}

// The bytes that an array of struct iovec, or those of a struct msghdr, offer; absent: not readable.
std::optional<std::uint64_t> count_io_vectors(const Memory& memory, std::uint64_t address, std::uint64_t count);
std::optional<std::uint64_t> count_message(const Memory& memory, std::uint64_t address);

// O_*, without the access mode.
NamedValues open_flags();

// One function a call: its arguments at entry, `...` for what it will hand back; what it has handed back.
Speller enter_socket, enter_number, enter_numbers, enter_address, enter_asked_address, enter_accept4, return_address,
    enter_write, enter_sendto, enter_sendmsg, enter_messages, enter_recvmmsg, return_sendmmsg, return_recvmmsg,
    enter_writev, enter_pwritev2, enter_sendfile, return_sendfile, enter_splice, enter_tee, enter_read, return_read,
    enter_recvfrom, return_recvfrom, enter_recvmsg, return_recvmsg, enter_readv, enter_preadv2, return_readv,
    enter_shutdown, enter_close_range, enter_dup3, enter_send, enter_recv, enter_socketpair, return_socketpair;
Speller enter_fcntl, return_fcntl, enter_setsockopt, enter_getsockopt, return_getsockopt, enter_ioctl, return_ioctl;
Speller enter_poll, return_poll, enter_ppoll, return_ppoll, enter_select, return_select, enter_pselect6,
    return_pselect6, enter_epoll_create, enter_epoll_create1, enter_epoll_ctl, enter_epoll_wait, enter_epoll_pwait,
    enter_epoll_pwait2, return_epoll;
Speller enter_clone, return_clone, enter_clone3, enter_unshare, enter_execve, enter_execveat, enter_pidfd_getfd,
    enter_io_uring_setup, return_io_uring_setup, enter_io_uring_enter;
Speller enter_rt_sigaction, return_rt_sigaction, enter_rt_sigprocmask, return_rt_sigprocmask, enter_rt_sigtimedwait,
    return_rt_sigtimedwait, enter_kill, enter_setitimer, return_setitimer, enter_prlimit64, return_prlimit64;

}  // namespace tcpwhy::calls
